{{/* The pod, whatever looks after it. */}}
{{- define "hallmark.pod" -}}
metadata:
  labels:
    {{- include "hallmark.selector" . | nindent 4 }}
    {{- with .Values.podLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  annotations:
    # The configuration is read at the start. Policies are taken up where they are mounted.
    checksum/config: {{ include "hallmark.config" . | sha256sum }}
    {{- with .Values.podAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  automountServiceAccountToken: false
  {{- with .Values.serviceAccountName }}
  serviceAccountName: {{ . }}
  {{- end }}
  {{- with .Values.priorityClassName }}
  priorityClassName: {{ . }}
  {{- end }}
  {{- with .Values.imagePullSecrets }}
  imagePullSecrets:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  # Requests and jobs drain for at most server.drainSeconds; then the database is closed.
  terminationGracePeriodSeconds: {{ add (int .Values.server.drainSeconds) 15 }}
  securityContext:
    runAsNonRoot: true
    runAsUser: 10001
    runAsGroup: 10001
    fsGroup: 10001
    fsGroupChangePolicy: OnRootMismatch
    seccompProfile: {type: RuntimeDefault}
  {{- with .Values.initContainers }}
  initContainers:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  containers:
    - name: hallmark
      image: {{ include "hallmark.image" . | quote }}
      imagePullPolicy: {{ .Values.image.pullPolicy }}
      {{- if .Values.maintenance }}
      command: [sh, -c, trap exit TERM; sleep infinity & wait]
      {{- else }}
      # Kubernetes starts again what ends; a refused PIN must not be tried until the token locks.
      args: [serve, --hold-on-refused-pin, --log-level, {{ .Values.log.level }}, --log-format, {{ .Values.log.format }}]
      ports:
        - {name: http, containerPort: 8080}
        - {name: metrics, containerPort: 9090}
      # The start opens every token and the database before it listens.
      startupProbe:
        httpGet: {path: /healthz, port: metrics}
        periodSeconds: 2
        failureThreshold: 60
      livenessProbe:
        httpGet: {path: /healthz, port: metrics}
        periodSeconds: 10
        timeoutSeconds: 3
      # The HSM answers, the database can be written.
      readinessProbe:
        httpGet: {path: /readyz, port: metrics}
        periodSeconds: 5
        timeoutSeconds: 3
      {{- end }}
      env:
        - {name: HALLMARK_CONFIG, value: /etc/hallmark/hallmark.yaml}
        {{- with .Values.extraEnv }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      securityContext:
        allowPrivilegeEscalation: false
        readOnlyRootFilesystem: true
        capabilities: {drop: [ALL]}
      {{- with .Values.resources }}
      resources:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      volumeMounts:
        - {name: config, mountPath: /etc/hallmark/hallmark.yaml, subPath: hallmark.yaml, readOnly: true}
        {{- if or .Values.policies.files .Values.policies.existingConfigMap }}
        - {name: policies, mountPath: /etc/hallmark/policies, readOnly: true}
        {{- end }}
        {{- range $name, $_ := .Values.secrets }}
        - {name: secret-{{ $name }}, mountPath: /etc/hallmark/secrets/{{ $name }}, readOnly: true}
        {{- end }}
        {{- if .Values.server.tlsSecret }}
        - {name: tls, mountPath: /etc/hallmark/tls, readOnly: true}
        {{- end }}
        - {name: data, mountPath: /var/lib/hallmark}
        - {name: tmp, mountPath: /tmp}
        {{- with .Values.extraVolumeMounts }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
  volumes:
    - name: config
      configMap: {name: {{ include "hallmark.fullname" . }}}
    {{- if or .Values.policies.files .Values.policies.existingConfigMap }}
    - name: policies
      configMap: {name: {{ include "hallmark.policies" . }}}
    {{- end }}
    {{- range $name, $secret := .Values.secrets }}
    - name: secret-{{ $name }}
      secret: {secretName: {{ $secret.secretName }}, defaultMode: 0440}
    {{- end }}
    {{- with .Values.server.tlsSecret }}
    - name: tls
      secret: {secretName: {{ . }}, defaultMode: 0440}
    {{- end }}
    {{- if not .Values.database.url }}
    - name: data
      persistentVolumeClaim: {claimName: {{ include "hallmark.claim" . }}}
    {{- else if not .Values.config.trust }}
    - name: data
      emptyDir: {}
    {{- end }}
    - name: tmp
      emptyDir: {}
    {{- with .Values.extraVolumes }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- with .Values.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.affinity }}
  affinity:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.topologySpreadConstraints }}
  topologySpreadConstraints:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end -}}
