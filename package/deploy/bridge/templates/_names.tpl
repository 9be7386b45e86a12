{{- /* One bridge per platform: its Lease is shared, so its names need not differ by release. */}}
{{- define "bridge.labels" -}}
app.kubernetes.io/name: kratix-crossplane-bridge
app.kubernetes.io/instance: {{ .Release.Name | quote }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service | quote }}
{{- end }}

{{- define "bridge.selector" -}}
app.kubernetes.io/name: kratix-crossplane-bridge
{{- end }}

{{- define "bridge.image" -}}
{{- $repository := required "image.repository: must say where the image of function-kratix is" .Values.image.repository -}}
{{- if .Values.image.digest -}}
{{ $repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ $repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end }}
