{{/*
The mode of TLS. Everything that is not one of the four words is an error here as well as in the schema, so that nothing
but the word "plaintext" gives plain text.
*/}}
{{- define "retina.tls.mode" -}}
{{- $mode := dig "mode" "" (.Values.tls | default dict) -}}
{{- if not (has $mode (list "helm" "certManager" "secret" "plaintext")) -}}
{{- fail (printf "tls.mode is %v: expected helm, certManager, secret or plaintext" (toJson $mode)) -}}
{{- end -}}
{{- $mode -}}
{{- end -}}

{{/* "true" unless plain text was asked for. */}}
{{- define "retina.tls.enabled" -}}
{{- ne (include "retina.tls.mode" .) "plaintext" -}}
{{- end -}}

{{/* Secret with tls.crt, tls.key and ca.crt of agent, operator, relay or client. Call with (list . "agent"). */}}
{{- define "retina.tls.secret" -}}
{{- $root := index . 0 -}}
{{- $of := index . 1 -}}
{{- if eq (include "retina.tls.mode" $root) "secret" -}}
{{- required (printf "tls.secret.%s is empty: with tls.mode secret it names the Secret with tls.crt, tls.key and ca.crt" $of) (index $root.Values.tls.secret $of) -}}
{{- else -}}
{{- include "retina.name" (list $root (printf "%s-tls" $of)) -}}
{{- end -}}
{{- end -}}

{{/* The operator's name in its certificate, and where agents find it. */}}
{{- define "retina.operator.host" -}}
{{- printf "%s.%s.svc" (include "retina.name" (list . "operator")) .Release.Namespace -}}
{{- end -}}

{{- define "retina.relay.host" -}}
{{- printf "hubble-relay.%s.svc" .Release.Namespace -}}
{{- end -}}

{{/*
The certificates that are wanted, as JSON: of whom, and for which names. All nodes share one for
*.CLUSTER.hubble-grpc.cilium.io: Relay asks node a.b of cluster c.d for a-b.c-d.hubble-grpc.cilium.io, and the Service for
hubble-peer of that cluster.
*/}}
{{- define "retina.tls.certificates" -}}
{{- $namespace := .Release.Namespace -}}
{{- $operator := include "retina.name" (list . "operator") -}}
{{- $list := list (dict "of" "agent" "names" (list (printf "*.%s.hubble-grpc.cilium.io" (.Values.clusterName | replace "." "-")))) -}}
{{- if .Values.operator.enabled -}}
{{- $list = append $list (dict "of" "operator" "names" (list (include "retina.operator.host" .) (printf "%s.%s" $operator $namespace) $operator)) -}}
{{- end -}}
{{- if .Values.hubble.relay.enabled -}}
{{- $list = append $list (dict "of" "relay" "names" (list (include "retina.relay.host" .) (printf "hubble-relay.%s" $namespace) "hubble-relay")) -}}
{{- end -}}
{{/* For the UI, and for people with the Hubble CLI, who may ask agents directly. */}}
{{- $list = append $list (dict "of" "client" "names" (list (printf "client.%s.hubble-grpc.cilium.io" (.Values.clusterName | replace "." "-")))) -}}
{{- dict "list" $list | toJson -}}
{{- end -}}
