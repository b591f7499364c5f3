{{/* The name of all objects. */}}
{{- define "tollgate.name" -}}
{{- if eq .Release.Name "tollgate" }}tollgate{{ else }}{{ printf "%s-tollgate" .Release.Name | trunc 52 | trimSuffix "-" }}{{ end }}
{{- end }}

{{- define "tollgate.selector" -}}
app.kubernetes.io/name: tollgate
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "tollgate.labels" -}}
{{ include "tollgate.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{/* One probe of control. */}}
{{- define "tollgate.probe" -}}
httpGet:
  path: {{ .path }}
  port: control
  scheme: {{ if .tls }}HTTPS{{ else }}HTTP{{ end }}
{{- end }}

{{/* The configuration file: the keys of the chart, and those of .Values.config. */}}
{{- define "tollgate.config" -}}
{{- $own := dict "production" .Values.production "plaintext" .Values.plaintext -}}
{{- $_ := set $own "drain" (dict "delay" (printf "%ds" (int .Values.drain.delaySeconds)) "timeout" (printf "%ds" (int .Values.drain.timeoutSeconds))) -}}
{{- if .Values.tls.secretName -}}
{{- $_ := set $own "control" (dict "tls" (dict "cert" "/tls/tls.crt" "key" "/tls/tls.key")) -}}
{{- end -}}
{{- mustMergeOverwrite (deepCopy .Values.config) $own | toYaml -}}
{{- end }}
