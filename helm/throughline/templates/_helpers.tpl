{{- define "throughline.name" -}}
{{- .Values.nameOverride | default .Chart.Name | trunc 50 | trimSuffix "-" -}}
{{- end -}}

{{- define "throughline.fullname" -}}
{{- $name := include "throughline.name" . -}}
{{- $full := ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) -}}
{{- .Values.fullnameOverride | default $full | trunc 50 | trimSuffix "-" -}}
{{- end -}}

{{- define "throughline.serviceAccount" -}}
{{- .Values.serviceAccount.name | default (ternary (include "throughline.fullname" .) "default" .Values.serviceAccount.create) -}}
{{- end -}}

{{- define "throughline.image" -}}
{{- with .Values.image -}}
{{- if .digest -}}{{ .repository }}@{{ .digest }}{{- else -}}{{ .repository }}:{{ .tag | default $.Chart.AppVersion }}{{- end -}}
{{- end -}}
{{- end -}}

{{- define "throughline.selector" -}}
app.kubernetes.io/name: {{ include "throughline.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: relay
{{- end -}}

{{- define "throughline.labels" -}}
{{ include "throughline.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{/* Files that the relay is given, by variable: where each comes from and under which name it is mounted. */}}
{{- define "throughline.files" -}}
THROUGHLINE_SITES: {{ toJson (merge (dict "folder" "sites") .Values.sites) }}
THROUGHLINE_OPERATOR_JWKS: {{ toJson (merge (dict "folder" "operator") .Values.operator) }}
THROUGHLINE_REVOKED: {{ toJson (merge (dict "folder" "revoked") .Values.revoked) }}
THROUGHLINE_CALLBACK_KEY: {{ toJson (merge (dict "folder" "callback-key") .Values.callbackKey) }}
THROUGHLINE_ICE: {{ toJson (merge (dict "folder" "ice") .Values.ice) }}
THROUGHLINE_TLS_CERT: {{ toJson (merge (dict "folder" "tls" "key" "tls.crt") .Values.tls) }}
THROUGHLINE_TLS_KEY: {{ toJson (merge (dict "folder" "tls" "key" "tls.key") .Values.tls) }}
{{- end -}}

{{/* Drain, the pause before it, and 30 s for the answers and callbacks that are under way. */}}
{{- define "throughline.grace" -}}
{{- add .Values.preStopSeconds .Values.drainSeconds 30 -}}
{{- end -}}

{{/* What the schema cannot say. */}}
{{- define "throughline.validate" -}}
{{- $bus := or .Values.bus.url .Values.bus.existingSecret -}}
{{- if and .Values.bus.url .Values.bus.existingSecret -}}
{{- fail "bus: expected url or existingSecret, found both" -}}
{{- end -}}
{{- if regexMatch "^[a-z+]+://[^/]*@" .Values.bus.url -}}
{{- fail "bus.url: expected no login in it, since values are no place for secrets: put the whole URL into a Secret and name it in bus.existingSecret" -}}
{{- end -}}
{{- if not $bus -}}
{{- if .Values.autoscaling.enabled -}}{{- fail "autoscaling: expected a Redis in bus.url or bus.existingSecret, found none: without it nodes do not know of each other" -}}{{- end -}}
{{- if gt (int .Values.replicas) 1 -}}{{- fail "replicas: expected a Redis in bus.url or bus.existingSecret, or replicas: 1, found more nodes and no bus: they would not know of each other" -}}{{- end -}}
{{- if gt (int .Values.workers) 1 -}}{{- fail "workers: expected a Redis in bus.url or bus.existingSecret, or workers: 1" -}}{{- end -}}
{{- end -}}
{{- if not (or .Values.sites.existingSecret .Values.operator.existingSecret .Values.operator.existingConfigMap) -}}
{{- fail "sites.existingSecret, operator.existingSecret or operator.existingConfigMap: expected one of them, found none: nobody could use the relay" -}}
{{- end -}}
{{- range $name := list "operator" "revoked" -}}
{{- with index $.Values $name -}}
{{- if and .existingSecret .existingConfigMap -}}{{- fail (printf "%s: expected existingSecret or existingConfigMap, found both" $name) -}}{{- end -}}
{{- end -}}
{{- end -}}
{{- if and .Values.ingress.enabled (not .Values.ingress.hosts) -}}{{- fail "ingress.hosts: expected a host name at least, found none" -}}{{- end -}}
{{- if .Values.gateway.enabled -}}
{{- if not .Values.gateway.hosts -}}{{- fail "gateway.hosts: expected a host name at least, found none" -}}{{- end -}}
{{- if not .Values.gateway.parentRefs -}}{{- fail "gateway.parentRefs: expected the Gateway to attach to, found none" -}}{{- end -}}
{{- end -}}
{{- with .Values.autoscaling -}}
{{- if and .enabled (not .connections) (not .cpu) -}}{{- fail "autoscaling: expected connections or cpu above 0, found neither" -}}{{- end -}}
{{- if and .enabled (lt (int .maxReplicas) (int .minReplicas)) -}}{{- fail "autoscaling.maxReplicas: expected minReplicas at least" -}}{{- end -}}
{{- end -}}
{{- end -}}
