/*
 * What the platform hands to these workers and takes back, as far as they use it, by the names that JFrog gives the types.
 * Not deployed: fits.ts holds the workers to it, and the tests put it before their code as the platform does with its own.
 */

export interface PlatformContext {
    clients: { axios: { post(url: string, body?: unknown, options?: object): Promise<{ status: number; data: any; headers: object }> } };
    secrets: { get(secretKey: string): string };
    wait(delayMs: number): Promise<void>;
    getRemainingExecutionTime(): number;
}

export interface RepoPath {
    key: string;
    path: string;
    /** key:path */
    id: string;
    isRoot: boolean;
    isFolder: boolean;
}

export interface UserContext {
    /** The user's name, or the subject of a token. */
    id: string;
    isToken: boolean;
    realm: string;
}

export interface UploadMetadata {
    /** Where the item stands now. */
    repoPath: RepoPath | undefined;
    contentLength: number;
    lastModified: number;
    trustServerChecksums: boolean;
    servletContextUrl: string;
    skipJarIndexing: boolean;
    disableRedirect: boolean;
    repoType: RepoType;
}

export interface ItemInfo {
    repoPath: RepoPath;
    name: string;
    created: number;
    lastModified: number;
}

export interface ArtifactProperties {
    value: string[];
}

export interface BeforeMoveRequest {
    metadata: UploadMetadata | undefined;
    targetRepoPath: RepoPath | undefined;
    userContext: UserContext | undefined;
    properties: { [key: string]: ArtifactProperties };
}

export interface BeforeCopyRequest extends BeforeMoveRequest {
    itemInfo: ItemInfo | undefined;
}

export interface BeforeMoveResponse {
    message: string;
    status: ActionStatus;
}

export interface BeforePropertyDeleteRequest {
    metadata: UploadMetadata | undefined;
    userContext: UserContext | undefined;
    itemInfo: ItemInfo | undefined;
    name: string;
}

export interface BeforePropertyCreateRequest extends BeforePropertyDeleteRequest {
    values: string[];
}

export interface BeforePropertyCreateResponse {
    message: string;
    status: BeforePropertyCreateStatus;
}

export interface BeforePropertyDeleteResponse {
    message: string;
    status: BeforePropertyDeleteStatus;
}

export enum RepoType {
    REPO_TYPE_UNSPECIFIED = 0,
    REPO_TYPE_LOCAL = 1,
    REPO_TYPE_REMOTE = 2,
    REPO_TYPE_FEDERATED = 3,
    UNRECOGNIZED = -1,
}

export enum ActionStatus {
    UNSPECIFIED = 0,
    PROCEED = 1,
    STOP = 2,
    WARN = 3,
}

export enum BeforePropertyCreateStatus {
    BEFORE_PROPERTY_CREATE_UNSPECIFIED = 0,
    BEFORE_PROPERTY_CREATE_PROCEED = 1,
    BEFORE_PROPERTY_CREATE_STOP = 2,
    BEFORE_PROPERTY_CREATE_WARN = 3,
    UNRECOGNIZED = -1,
}

export enum BeforePropertyDeleteStatus {
    BEFORE_PROPERTY_DELETE_UNSPECIFIED = 0,
    BEFORE_PROPERTY_DELETE_PROCEED = 1,
    BEFORE_PROPERTY_DELETE_STOP = 2,
    BEFORE_PROPERTY_DELETE_WARN = 3,
    UNRECOGNIZED = -1,
}
