{{- define "worker.name" -}}
{{ default .Chart.Name .Values.nameOverride | trunc 52 | trimSuffix "-" }}
{{- end }}

{{/* 52 letters at most: pods of a StatefulSet carry a hash of the set's revision behind its name, in a label of 63. */}}
{{- define "worker.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{ .Values.fullnameOverride | trunc 52 | trimSuffix "-" }}
{{- else if contains (include "worker.name" .) .Release.Name -}}
{{ .Release.Name | trunc 52 | trimSuffix "-" }}
{{- else -}}
{{ printf "%s-%s" .Release.Name (include "worker.name" .) | trunc 52 | trimSuffix "-" }}
{{- end -}}
{{- end }}

{{- define "worker.selector" -}}
app.kubernetes.io/name: {{ include "worker.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "worker.labels" -}}
{{ include "worker.selector" . }}
app.kubernetes.io/version: {{ .Values.image.tag | default .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "worker.serviceAccount" -}}
{{ .Values.serviceAccount.name | default (ternary (include "worker.fullname" .) "default" .Values.serviceAccount.create) }}
{{- end }}

{{- define "worker.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end }}

{{/* A value as text. Numbers of a file are floating: by itself Helm writes 1000000 as 1e+06. */}}
{{- define "worker.text" -}}
{{ kindIs "float64" . | ternary (printf "%.15g" .) (toString .) }}
{{- end }}

{{/* What a scaler may take away: one pod at a time, after a quiet spell. Each drains before it goes. */}}
{{- define "worker.scaling" -}}
scaleUp:
  stabilizationWindowSeconds: 0
scaleDown:
  stabilizationWindowSeconds: {{ .Values.autoscaling.scaleDownSeconds }}
  policies:
    - type: Pods
      value: 1
      periodSeconds: {{ min 1800 (max 60 (add .Values.drainSeconds 60 | int)) }}
{{- end }}
