{{- define "kube-devops.name" -}}
{{ default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- /* The prefix of names. The longest suffix is "-uninstall-own". */}}
{{- define "kube-devops.fullname" -}}
{{- $name := include "kube-devops.name" . }}
{{- $full := ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) }}
{{- default $full .Values.fullnameOverride | replace "." "-" | trunc 48 | trimSuffix "-" }}
{{- end }}

{{- /* The labels by which pods are selected: (list root component). */}}
{{- define "kube-devops.selector" -}}
{{- $root := index . 0 -}}
app.kubernetes.io/name: {{ include "kube-devops.name" $root | quote }}
app.kubernetes.io/instance: {{ $root.Release.Name | quote }}
{{- with index . 1 }}
app.kubernetes.io/component: {{ . }}
{{- end }}
{{- end }}

{{- /* The labels of a pod: (list root component). Those of the chart win, because commands select pods by them. */}}
{{- define "kube-devops.podLabels" -}}
{{- $own := include "kube-devops.selector" . | fromYaml }}
{{- $_ := set $own "app.kubernetes.io/part-of" "kube-devops" }}
{{- toYaml (merge $own (index . 0).Values.podLabels) }}
{{- end }}

{{- /* Labels and annotations of an object: (list root component annotations labels); the last two are optional. Labels of
the chart win over commonLabels, because commands select objects by them. */}}
{{- define "kube-devops.metadata" -}}
{{- $root := index . 0 -}}
{{- $own := include "kube-devops.selector" . | fromYaml }}
{{- $_ := set $own "app.kubernetes.io/part-of" "kube-devops" }}
{{- $_ := set $own "app.kubernetes.io/version" $root.Chart.AppVersion }}
{{- $_ := set $own "app.kubernetes.io/managed-by" $root.Release.Service }}
{{- $_ := set $own "helm.sh/chart" (printf "%s-%s" $root.Chart.Name $root.Chart.Version | replace "+" "_") }}
{{- $added := dict }}
{{- if gt (len .) 3 }}
{{- $added = default (dict) (index . 3) }}
{{- end -}}
labels:
  {{- toYaml (merge (dict) $added $own $root.Values.commonLabels) | nindent 2 }}
{{- $annotations := $root.Values.commonAnnotations }}
{{- if gt (len .) 2 }}
{{- $annotations = merge (dict) (default (dict) (index . 2)) $annotations }}
{{- end }}
{{- with $annotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- /* The name of the account of a component: (list root component). */}}
{{- define "kube-devops.account" -}}
{{- $root := index . 0 }}
{{- $component := index . 1 }}
{{- $account := (index $root.Values $component).serviceAccount }}
{{- $own := printf "%s-%s" (include "kube-devops.fullname" $root) $component }}
{{- default (ternary $own "default" $account.create) $account.name }}
{{- end }}

{{- /* Not empty if the operator keeps verdicts on Namespaces, which it only can where it works in all of them. */}}
{{- define "kube-devops.native" -}}
{{- if and .Values.admission.native (not .Values.reconcile.namespaces) }}true{{ end }}
{{- end }}

{{- define "kube-devops.image" -}}
{{- $image := .Values.image }}
{{- $registry := default $image.registry (default (dict) .Values.global).imageRegistry }}
{{- with $registry }}{{ trimSuffix "/" . }}/{{ end }}{{ $image.repository }}
{{- if $image.digest }}@{{ $image.digest }}{{ else }}:{{ default .Chart.AppVersion $image.tag }}{{ end }}
{{- end }}

{{- /* The components to install, separated by spaces. */}}
{{- define "kube-devops.components" -}}
{{- range $component := list "watch" "reconcile" "webhook" }}
{{- if (index $.Values $component).enabled }} {{ $component }}{{ end }}
{{- end }}
{{- end }}

{{- /* The port of health and metrics: (list root component). */}}
{{- define "kube-devops.port" -}}
{{- get (dict "watch" 8080 "reconcile" 9090 "webhook" (int (index . 0).Values.webhook.metricsPort)) (index . 1) }}
{{- end }}

{{- /* A role and its binding: a dict of root, name, account, namespace (none for all), component, rules, annotations. */}}
{{- define "kube-devops.role" -}}
{{- $kind := ternary "Role" "ClusterRole" (ne .namespace "") }}
{{- range $object := list $kind (printf "%sBinding" $kind) }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: {{ $object }}
metadata:
  name: {{ $.name }}
  {{- with $.namespace }}
  namespace: {{ . | quote }}
  {{- end }}
  {{- include "kube-devops.metadata" (list $.root $.component $.annotations) | nindent 2 }}
{{- if eq $object $kind }}
rules:
  {{- $.rules | nindent 2 }}
{{- else }}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: {{ $kind }}
  name: {{ $.name }}
subjects:
  - kind: ServiceAccount
    name: {{ $.account | quote }}
    namespace: {{ $.root.Release.Namespace | quote }}
{{- end }}
{{- end }}
{{- end }}

{{- /* The fields of every pod of ours: (list root component). Jobs and tests have them too. */}}
{{- define "kube-devops.pod" -}}
{{- $root := index . 0 -}}
automountServiceAccountToken: true
enableServiceLinks: false
{{- with $root.Values.podSecurityContext }}
securityContext:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- $shared := (default (dict) $root.Values.global).imagePullSecrets }}
{{- with concat (default (list) $shared) $root.Values.imagePullSecrets | uniq }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . | quote }}
  {{- end }}
{{- end }}
{{- with $root.Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $root.Values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $root.Values.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $root.Values.priorityClassName }}
priorityClassName: {{ . | quote }}
{{- end }}
{{- end }}
