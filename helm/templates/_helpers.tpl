{{/* Name of an object of ours: FULLNAME-COMPONENT. Call with (list . "agent"). */}}
{{- define "retina.name" -}}
{{- $root := index . 0 -}}
{{- printf "%s-%s" $root.Values.fullnameOverride (index . 1) | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{/* Labels that select the pods of a component; they never change. Call with (list . "agent"). */}}
{{- define "retina.selector" -}}
{{- $root := index . 0 -}}
app.kubernetes.io/name: {{ index . 1 }}
app.kubernetes.io/instance: {{ $root.Release.Name }}
app.kubernetes.io/part-of: retina
{{- end -}}

{{/* Labels of every object of a component. Call with (list . "agent"). */}}
{{- define "retina.labels" -}}
{{- $root := index . 0 -}}
{{ include "retina.selector" . }}
app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" $root.Chart.Name $root.Chart.Version | replace "+" "_" }}
{{- with $root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* REGISTRY/REPOSITORY:TAG, or @DIGEST. Call with (list . image registry), the latter for images without their own. */}}
{{- define "retina.image" -}}
{{- $root := index . 0 -}}
{{- $image := index . 1 -}}
{{- with $image.registry | default (index . 2) }}{{ . | trimSuffix "/" }}/{{ end -}}
{{- $image.repository -}}
{{- if $image.digest }}@{{ $image.digest }}{{ else }}:{{ $image.tag | default $root.Chart.AppVersion }}{{ end -}}
{{- end -}}

{{/* Metadata of a pod: labels and annotations. Call with (list . "agent" values port). */}}
{{- define "retina.podMetadata" -}}
{{- $root := index . 0 -}}
{{- $values := index . 2 -}}
labels:
  {{- include "retina.selector" (list $root (index . 1)) | nindent 2 }}
  app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
  {{- with $root.Values.commonLabels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
  {{- with $values.podLabels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- $metrics := $root.Values.metrics -}}
{{- $annotations := dict -}}
{{- if and (index . 3) $metrics.scrapeAnnotations (not $metrics.podMonitor.enabled) (not $metrics.serviceMonitor.enabled) -}}
{{- $annotations = dict "prometheus.io/scrape" "true" "prometheus.io/path" "/metrics" "prometheus.io/port" (index . 3 | int64 | toString) -}}
{{- end -}}
{{- with mergeOverwrite $annotations $values.podAnnotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* Where pods may run, and their priority. Call with the component's values. */}}
{{- define "retina.scheduling" -}}
{{- with .priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- define "retina.imagePullSecrets" -}}
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- end -}}

{{/* Address families of a Service. */}}
{{- define "retina.serviceFamilies" -}}
{{- with .Values.service.ipFamilyPolicy }}
ipFamilyPolicy: {{ . }}
{{- end }}
{{- with .Values.service.ipFamilies }}
ipFamilies:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* For containers that need no privilege at all. */}}
{{- define "retina.unprivileged" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
runAsNonRoot: true
capabilities:
  drop: [ALL]
{{- end -}}

{{/* Whoever they run as in their images, they get no user of the node and may read the Secrets of their group. */}}
{{- define "retina.unprivilegedPod" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{/* What the values demand together, for those who skip the schema too. */}}
{{- define "retina.check" -}}
{{- if and .Values.hubble.relay.enabled (not .Values.operator.enabled) -}}
{{- fail "hubble.relay.enabled needs operator.enabled: the operator tells the agents, and they tell Relay, which nodes there are" -}}
{{- end -}}
{{- $helm := .Values.tls.helm -}}
{{- if ge ($helm.renewBeforeDays | int64) (min ($helm.days | int64) ($helm.caDays | int64)) -}}
{{- fail (printf "tls.helm.renewBeforeDays is %d, no less than tls.helm.days or tls.helm.caDays: every upgrade would renew everything" ($helm.renewBeforeDays | int64)) -}}
{{- end -}}
{{- if and .Values.hubble.ui.enabled (not .Values.hubble.relay.enabled) -}}
{{- fail "hubble.ui.enabled needs hubble.relay.enabled: the UI reads from Relay" -}}
{{- end -}}
{{- end -}}
