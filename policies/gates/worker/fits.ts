/* Holds the workers to what the platform calls and expects. Compiled, never run. */

import gate from "./gate";
import shield from "./shield";
import type {
    BeforeCopyRequest, BeforeMoveRequest, BeforeMoveResponse, BeforePropertyCreateRequest, BeforePropertyCreateResponse,
    BeforePropertyDeleteRequest, BeforePropertyDeleteResponse, PlatformContext,
} from "./types";

export const move: (context: PlatformContext, data: BeforeMoveRequest) => Promise<BeforeMoveResponse> = gate;
export const copy: (context: PlatformContext, data: BeforeCopyRequest) => Promise<BeforeMoveResponse> = gate;
export const create: (context: PlatformContext, data: BeforePropertyCreateRequest) => Promise<BeforePropertyCreateResponse> = shield;
export const remove: (context: PlatformContext, data: BeforePropertyDeleteRequest) => Promise<BeforePropertyDeleteResponse> = shield;
