{{- define "hallmark.fullname" -}}
{{- if contains "hallmark" .Release.Name -}}
{{ .Release.Name | trunc 50 | trimSuffix "-" }}
{{- else -}}
{{ printf "%s-hallmark" .Release.Name | trunc 50 | trimSuffix "-" }}
{{- end -}}
{{- end -}}

{{- define "hallmark.selector" -}}
app.kubernetes.io/name: hallmark
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "hallmark.labels" -}}
{{ include "hallmark.selector" . }}
app.kubernetes.io/version: {{ .Values.image.tag | default .Chart.AppVersion | trunc 63 | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{- define "hallmark.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end -}}

{{- define "hallmark.policies" -}}
{{ .Values.policies.existingConfigMap | default (printf "%s-policies" (include "hallmark.fullname" .)) }}
{{- end -}}

{{- define "hallmark.claim" -}}
{{ .Values.persistence.existingClaim | default (include "hallmark.fullname" .) }}
{{- end -}}

{{/* hallmark.yaml: the given sections, and those that follow from the rest of the chart. */}}
{{- define "hallmark.config" -}}
{{- $server := dict "listen" ":8080" "metrics" ":9090" "drain" (printf "%ds" (int .Values.server.drainSeconds)) -}}
{{- if .Values.server.tlsSecret -}}
{{- $_ := set $server "tls" (dict "certificate" "/etc/hallmark/tls/tls.crt" "key" "/etc/hallmark/tls/tls.key") -}}
{{- end -}}
{{- $database := dict "url" "sqlite:///var/lib/hallmark/hallmark.db" "replica" (include "hallmark.fullname" .) -}}
{{- if .Values.database.url -}}
{{- $database = dict "url" .Values.database.url -}}
{{- with .Values.database.password.file -}}
{{- $_ := set $database "password" (dict "file" .) -}}
{{- end -}}
{{- end -}}
{{- $config := dict "server" $server "database" $database -}}
{{- $_ := set $config "policies" (dict "dir" "/etc/hallmark/policies" "noMatch" .Values.policies.noMatch) -}}
{{- range $section, $content := .Values.config -}}
{{- if $content -}}
{{- $_ := set $config $section $content -}}
{{- end -}}
{{- end -}}
{{ toYaml $config }}
{{- end -}}

{{/* What the schema cannot say. */}}
{{- define "hallmark.check" -}}
{{- if and (gt (int .Values.replicas) 1) (not .Values.database.url) -}}
{{- fail "replicas is more than 1, and SQLite has one process: set database.url to a PostgreSQL database, or replicas to 1" -}}
{{- end -}}
{{- if and .Values.policies.files .Values.policies.existingConfigMap -}}
{{- fail "policies: set either files or existingConfigMap, not both" -}}
{{- end -}}
{{- if not .Values.maintenance -}}
{{- if not (or .Values.policies.files .Values.policies.existingConfigMap) -}}
{{- fail "policies: set files, or existingConfigMap; see docs/policies.md" -}}
{{- end -}}
{{- range list "artifactory" "tokens" "keys" -}}
{{- if not (get $.Values.config .) -}}
{{- fail (printf "config.%s is empty; to make a first key, install with maintenance=true" .) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- range regexFindAll "/etc/hallmark/secrets/[^\\s\"',}]*" (printf "%s %s" (toYaml .Values.config) .Values.database.password.file) -1 -}}
{{- if not (hasKey $.Values.secrets (splitList "/" (trimPrefix "/etc/hallmark/secrets/" .) | first)) -}}
{{- fail (printf "%s is named in config, but secrets has no such entry to mount there" .) -}}
{{- end -}}
{{- end -}}
{{- end -}}
