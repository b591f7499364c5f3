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

{{/* The user of every pod. */}}
{{- define "tollgate.user" -}}
securityContext:
  runAsNonRoot: true
  runAsUser: 65532
  runAsGroup: 65532
  fsGroup: 65532
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile: {type: RuntimeDefault}
{{- end }}

{{/* The variables of every container. */}}
{{- define "tollgate.environment" -}}
env:
  - name: TOLLGATE_LISTEN
    value: {{ if .Values.tls.secretName }}'[{address: "0.0.0.0:8080", tls: {cert: /tls/tls.crt, key: /tls/tls.key}}]'{{ else }}"0.0.0.0:8080"{{ end }}
  - {name: TOLLGATE_CONTROL__LISTEN, value: "0.0.0.0:8787"}
  - {name: TOLLGATE_DATA, value: /var/lib/tollgate}
  - {name: TOLLGATE_LOG__FORMAT, value: json}
  {{- with .Values.store.urlSecret }}{{ if .name }}
  - name: DATABASE_URL
    valueFrom: {secretKeyRef: {name: {{ .name }}, key: {{ .key }}}}
  {{- end }}{{ end }}
  {{- with .Values.redis.urlSecret }}{{ if .name }}
  - name: REDIS_URL
    valueFrom: {secretKeyRef: {name: {{ .name }}, key: {{ .key }}}}
  {{- end }}{{ end }}
  {{- with .Values.metrics.tokenSecret }}{{ if .name }}
  - name: TOLLGATE_METRICS__TOKEN
    valueFrom: {secretKeyRef: {name: {{ .name }}, key: {{ .key }}}}
  {{- end }}{{ end }}
  {{- with .Values.secrets }}{{ if .name }}
  - {name: MASTER_ENCRYPTION_KEY, value: "file:/secrets/{{ .masterKey }}"}
  - {name: JWT_SECRET, value: "file:/secrets/{{ .signingKey }}"}
  {{- end }}{{ end }}
{{- with .Values.environmentSecrets }}
envFrom:
  {{- range . }}
  - secretRef: {name: {{ . }}}
  {{- end }}
{{- end }}
{{- end }}

{{/* The rights and the mounts of every container. */}}
{{- define "tollgate.mounts" -}}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  privileged: false
  capabilities: {drop: [ALL]}
volumeMounts:
  - {name: data, mountPath: /var/lib/tollgate}
  - {name: config, mountPath: /etc/tollgate, readOnly: true}
  {{- if .Values.secrets.name }}
  - {name: secrets, mountPath: /secrets, readOnly: true}
  {{- end }}
  {{- if .Values.tls.secretName }}
  - {name: tls, mountPath: /tls, readOnly: true}
  {{- end }}
  {{- with .Values.volumeMounts }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end }}

{{/* The volumes of every pod, except that of the node. */}}
{{- define "tollgate.volumes" -}}
volumes:
  - name: config
    configMap: {name: {{ include "tollgate.name" . }}}
  {{- if .Values.secrets.name }}
  - name: secrets
    secret: {secretName: {{ .Values.secrets.name }}, defaultMode: 0440}
  {{- end }}
  {{- if .Values.tls.secretName }}
  - name: tls
    secret: {secretName: {{ .Values.tls.secretName }}, defaultMode: 0440}
  {{- end }}
  {{- with .Values.volumes }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end }}

{{/* The image of every container. */}}
{{- define "tollgate.image" -}}
image: "{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}"
imagePullPolicy: {{ .Values.image.pullPolicy }}
{{- end }}

{{/* The number of nodes at most. */}}
{{- define "tollgate.nodesMax" -}}
{{- if .Values.autoscaling.enabled }}{{ .Values.autoscaling.maxReplicas }}{{ else }}{{ .Values.replicas }}{{ end }}
{{- end }}
