{{- define "xeno.name" -}}{{ .Release.Name | trunc 45 | trimSuffix "-" }}{{- end -}}

{{- define "xeno.image" -}}{{ .Values.image.repository }}:{{ .Values.image.tag }}{{- end -}}

{{- define "xeno.selector" -}}
app.kubernetes.io/name: xeno-pipeline
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "xeno.labels" -}}
{{ include "xeno.selector" . }}
app.kubernetes.io/version: {{ .Values.image.tag | trunc 63 | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end -}}

{{/* Labels of an object of one component; takes (dict "root" $ "component" NAME), as all below. */}}
{{- define "xeno.componentSelector" -}}
{{ include "xeno.selector" .root }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{- define "xeno.componentLabels" -}}
{{ include "xeno.labels" .root }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{- define "xeno.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{- define "xeno.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end -}}

{{/* What each component's processes find in their environment; nothing of it is secret. */}}
{{- define "xeno.variables" -}}
{{- $database := .root.Values.database -}}
{{- $variables := dict
  "XENO_HOME" "/var/lib/xeno"
  "XENO_SECRETS_DIR" "/etc/xeno/secrets"
  "XENO_DATABASE_URL" $database.url
  "DAGSTER_HOME" "/opt/dagster/home" -}}
{{- if has .component (list "code" "run" "gateway") -}}
{{- $variables = merge $variables .root.Values.settings -}}
{{- end -}}
{{- if eq .component "code" -}}
{{- $_ := set $variables "DAGSTER_CURRENT_IMAGE" (include "xeno.image" .root) -}}
{{- end -}}
{{- if eq .component "insights" -}}
{{- $variables = merge (omit $variables "DAGSTER_HOME") .root.Values.insights.settings -}}
{{- if $database.replicaUrl -}}{{- $_ := set $variables "XENO_REPLICA_URL" $database.replicaUrl -}}{{- end -}}
{{- end -}}
{{- if eq .component "gateway" -}}{{- $variables = omit $variables "DAGSTER_HOME" -}}{{- end -}}
{{- if and $database.poolerUrl (has .component (list "gateway" "insights")) -}}
{{- $_ := set $variables "XENO_POOLER_URL" $database.poolerUrl -}}
{{- end -}}
{{- if eq .component "migrate" -}}{{- $_ := set $variables "DAGSTER_HOME" "/var/lib/xeno/dagster" -}}{{- end -}}
{{- toYaml $variables -}}
{{- end -}}

{{- define "xeno.env" -}}
{{- range $name, $value := include "xeno.variables" . | fromYaml }}
- {name: {{ $name }}, value: {{ $value | quote }}}
{{- end }}
{{- end -}}

{{/* What a component's processes may read of the Secret. */}}
{{- define "xeno.secretVolume" -}}
{{- $required := dict
  "code" (list "xeno_database_password" "xeno_encryption_keys" "xeno_shopify_api_secret")
  "run" (list "xeno_database_password" "xeno_encryption_keys" "xeno_shopify_api_secret")
  "gateway" (list "xeno_database_password" "xeno_encryption_keys" "xeno_shopify_api_secret")
  "migrate" (list "xeno_database_password" "xeno_serving_password")
  "webserver" (list "xeno_database_password")
  "daemon" (list "xeno_database_password")
  "insights" (list "xeno_serving_password") -}}
{{- $optional := dict
  "code" (list "xeno_shopify_api_secret_previous" "xeno_smtp_url" "xeno_alert_webhook_url")
  "run" (list "xeno_shopify_api_secret_previous" "xeno_smtp_url" "xeno_alert_webhook_url")
  "gateway" (list "xeno_shopify_api_secret_previous") -}}
name: secrets
projected:
  defaultMode: 288
  sources:
    - secret:
        name: {{ .root.Values.secretName }}
        items:
          {{- range get $required .component }}
          - {key: {{ . }}, path: {{ . }}}
          {{- end }}
    {{- with get $optional .component }}
    - secret:
        name: {{ $.root.Values.secretName }}
        optional: true
        items:
          {{- range . }}
          - {key: {{ . }}, path: {{ . }}}
          {{- end }}
    {{- end }}
{{- end -}}

{{/* All state under XENO_HOME is the pod's own, and ends with it. */}}
{{- define "xeno.volumes" -}}
- name: home
  emptyDir: {}
- name: tmp
  emptyDir: {}
- {{ include "xeno.secretVolume" . | nindent 2 | trim }}
{{- end -}}

{{- define "xeno.mounts" -}}
- {name: home, mountPath: /var/lib/xeno}
- {name: tmp, mountPath: /tmp}
- {name: secrets, mountPath: /etc/xeno/secrets, readOnly: true}
{{- end -}}

{{- define "xeno.instanceVolumes" -}}
- name: dagster-home
  emptyDir: {}
- name: instance
  configMap: {name: {{ include "xeno.name" .root }}-instance}
{{- end -}}

{{- define "xeno.instanceMounts" -}}
- {name: dagster-home, mountPath: /opt/dagster/home}
- {name: instance, mountPath: /opt/dagster/home/dagster.yaml, subPath: dagster.yaml, readOnly: true}
- {name: instance, mountPath: /opt/dagster/home/workspace.yaml, subPath: workspace.yaml, readOnly: true}
{{- end -}}

{{/* The parts of a pod that do not depend on its component but by name. */}}
{{- define "xeno.podBasics" -}}
{{- $ours := has .component (list "daemon" "webserver") -}}
serviceAccountName: {{ include "xeno.name" .root }}-{{ ternary "launcher" "plain" $ours }}
automountServiceAccountToken: {{ $ours }}
enableServiceLinks: false
{{- with .root.Values.imagePullSecrets }}
imagePullSecrets: {{ toJson . }}
{{- end }}
{{- if and .root.Values.priorityClasses.create (ne .component "run") }}
priorityClassName: {{ include "xeno.name" .root }}-live
{{- end }}
securityContext: {{- include "xeno.podSecurity" . | nindent 2 }}
{{- end -}}

{{- define "xeno.containerBasics" -}}
image: {{ include "xeno.image" .root }}
imagePullPolicy: {{ .root.Values.image.pullPolicy }}
env: {{- include "xeno.env" . | indent 2 }}
securityContext: {{- include "xeno.containerSecurity" . | nindent 2 }}
resources: {{- toYaml (get .root.Values .component).resources | nindent 2 }}
{{- end -}}

{{- define "xeno.spread" -}}
topologySpreadConstraints:
  {{- range list "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
  - maxSkew: 1
    topologyKey: {{ . }}
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels: {{- include "xeno.componentSelector" $ | nindent 8 }}
  {{- end }}
{{- end -}}
