{{- /* Generated from src/manifests by `UPDATE=1 cargo test --test generated`. */}}
{{- define "kube-devops.alerts" -}}
- name: kube-devops.recordings
  rules:
  - expr: max(cluster_health_score)
    record: kube_devops:cluster_health_score:max
  - expr: max by (namespace) (namespace_health_score)
    record: kube_devops:namespace_health_score:max
  - expr: max(pods_tracked and on (instance) cluster_health_score)
    record: kube_devops:scored_pods:max
  - expr: max(cluster_compliance_ratio)
    record: kube_devops:cluster_compliance_ratio:max
  - expr: (100 - avg_over_time(kube_devops:cluster_health_score:max[5m])) / 5
    record: kube_devops:health_budget_burn:avg5m
  - expr: (100 - avg_over_time(kube_devops:cluster_health_score:max[30m])) / 5
    record: kube_devops:health_budget_burn:avg30m
  - expr: (100 - avg_over_time(kube_devops:cluster_health_score:max[1h])) / 5
    record: kube_devops:health_budget_burn:avg1h
  - expr: (100 - avg_over_time(kube_devops:cluster_health_score:max[6h])) / 5
    record: kube_devops:health_budget_burn:avg6h
- name: kube-devops.alerts
  rules:
  {{- if .Values.watch.enabled }}
  - alert: KubeDevopsScoreLow
    annotations:
      runbook_url: {{ .Values.monitoring.prometheusRule.runbooks }}/KubeDevopsScoreLow.md
      summary: The health score of namespace {{ "{{" }} $labels.namespace }} is {{ "{{" }} $value }}, below 60.
    expr: kube_devops:namespace_health_score:max < 60
    for: 15m
    labels:
      component: watch
      severity: warning
  {{- end }}
  {{- if .Values.watch.enabled }}
  - alert: KubeDevopsScoreBurning
    annotations:
      runbook_url: {{ .Values.monitoring.prometheusRule.runbooks }}/KubeDevopsScoreBurning.md
      summary: "The cluster's health score is falling: it loses {{ "{{" }} $value | humanize }} times its monthly budget."
    expr: kube_devops:health_budget_burn:avg5m > 14.4 and kube_devops:health_budget_burn:avg1h > 14.4 or kube_devops:health_budget_burn:avg30m > 6 and kube_devops:health_budget_burn:avg6h > 6
    for: 2m
    labels:
      component: watch
      severity: critical
  {{- end }}
  {{- if .Values.watch.enabled }}
  - alert: KubeDevopsComplianceFalling
    annotations:
      runbook_url: {{ .Values.monitoring.prometheusRule.runbooks }}/KubeDevopsComplianceFalling.md
      summary: Compliance fell by more than 10 percentage points within a day.
    expr: kube_devops:cluster_compliance_ratio:max - (kube_devops:cluster_compliance_ratio:max offset 1d) < -0.1
    for: 30m
    labels:
      component: watch
      severity: warning
  {{- end }}
  {{- if .Values.watch.enabled }}
  - alert: KubeDevopsDown
    annotations:
      runbook_url: {{ .Values.monitoring.prometheusRule.runbooks }}/KubeDevopsDown.md
      summary: Prometheus reaches no replica of {{ "{{" }} $labels.name }}.
    expr: absent(leader{name="kube-devops-watch"})
    for: 5m
    labels:
      component: watch
      severity: critical
  {{- end }}
  {{- if .Values.reconcile.enabled }}
  - alert: KubeDevopsDown
    annotations:
      runbook_url: {{ .Values.monitoring.prometheusRule.runbooks }}/KubeDevopsDown.md
      summary: Prometheus reaches no replica of {{ "{{" }} $labels.name }}.
    expr: absent(leader{name="kube-devops-reconcile"})
    for: 5m
    labels:
      component: reconcile
      severity: critical
  {{- end }}
  {{- if .Values.webhook.enabled }}
  - alert: KubeDevopsDown
    annotations:
      runbook_url: {{ .Values.monitoring.prometheusRule.runbooks }}/KubeDevopsDown.md
      summary: Prometheus reaches no replica of {{ "{{" }} $labels.name }}.
    expr: absent(leader{name="kube-devops-webhook"})
    for: 5m
    labels:
      component: webhook
      severity: critical
  {{- end }}
  - alert: KubeDevopsLeaderMissing
    annotations:
      runbook_url: {{ .Values.monitoring.prometheusRule.runbooks }}/KubeDevopsLeaderMissing.md
      summary: No replica holds the Lease {{ "{{" }} $labels.name }}, so nothing is written.
    expr: max by (name) (leader) == 0
    for: 2m
    labels:
      severity: critical
  {{- if .Values.watch.enabled }}
  - alert: KubeDevopsWatchStale
    annotations:
      runbook_url: {{ .Values.monitoring.prometheusRule.runbooks }}/KubeDevopsWatchStale.md
      summary: The watch of {{ "{{" }} $labels.instance }} keeps failing, so its scores may be out of date.
    expr: sum by (instance) (increase(watch_failures_total{category!="expired"}[10m])) > 0
    for: 10m
    labels:
      component: watch
      severity: warning
  {{- end }}
  - alert: KubeDevopsApiServerUnreachable
    annotations:
      runbook_url: {{ .Values.monitoring.prometheusRule.runbooks }}/KubeDevopsApiServerUnreachable.md
      summary: "{{ "{{" }} $labels.instance }} cannot reach the API server."
    expr: sum by (instance) (rate(api_requests_total{result="unreachable"}[5m])) / sum by (instance) (rate(api_requests_total[5m])) > 0.5
    for: 5m
    labels:
      severity: critical
  {{- if .Values.reconcile.enabled }}
  - alert: KubeDevopsReconcileErrors
    annotations:
      runbook_url: {{ .Values.monitoring.prometheusRule.runbooks }}/KubeDevopsReconcileErrors.md
      summary: "{{ "{{" }} $value | humanizePercentage }} of the reconciliations fail."
    expr: sum(rate(devopspolicy_reconcile_total{result="error"}[10m])) / sum(rate(devopspolicy_reconcile_total[10m])) > 0.1
    for: 10m
    labels:
      component: reconcile
      severity: warning
  {{- end }}
  {{- if .Values.reconcile.enabled }}
  - alert: KubeDevopsPatchesWithdrawn
    annotations:
      runbook_url: {{ .Values.monitoring.prometheusRule.runbooks }}/KubeDevopsPatchesWithdrawn.md
      summary: Enforcement withdrew patches within the last hour.
    expr: sum(max by (category) (increase(enforcement_withdrawals_total[1h]))) > 0
    for: 0m
    labels:
      component: reconcile
      severity: warning
  {{- end }}
  {{- if .Values.reconcile.enabled }}
  - alert: KubeDevopsIncident
    annotations:
      runbook_url: {{ .Values.monitoring.prometheusRule.runbooks }}/KubeDevopsIncident.md
      summary: Enforcement withdrew more than three patches within 15 minutes.
    expr: sum(max by (category) (increase(enforcement_withdrawals_total[15m]))) > 3
    for: 0m
    labels:
      component: reconcile
      severity: critical
  {{- end }}
  {{- if .Values.webhook.enabled }}
  - alert: KubeDevopsWebhookErrors
    annotations:
      runbook_url: {{ .Values.monitoring.prometheusRule.runbooks }}/KubeDevopsWebhookErrors.md
      summary: The webhook does not evaluate {{ "{{" }} $value | humanizePercentage }} of the admission requests.
    expr: sum(rate(webhook_requests_total{result=~"error|unsynced|invalid"}[5m])) / sum(rate(webhook_requests_total[5m])) > 0.01
    for: 10m
    labels:
      component: webhook
      severity: warning
  {{- end }}
  {{- if .Values.webhook.enabled }}
  - alert: KubeDevopsWebhookUnreachable
    annotations:
      runbook_url: {{ .Values.monitoring.prometheusRule.runbooks }}/KubeDevopsWebhookUnreachable.md
      summary: The API server cannot call the webhook.
    expr: sum(increase(apiserver_admission_webhook_fail_open_count{name=~"(validate|mutate).devops.stochastic.io"}[5m])) > 0 or sum(increase(apiserver_admission_webhook_rejection_count{name="validate.devops.stochastic.io", error_type="calling_webhook_error"}[5m])) > 0
    for: 5m
    labels:
      component: webhook
      severity: critical
  {{- end }}
  {{- if .Values.webhook.enabled }}
  - alert: KubeDevopsWebhookSlow
    annotations:
      runbook_url: {{ .Values.monitoring.prometheusRule.runbooks }}/KubeDevopsWebhookSlow.md
      summary: One in a hundred admission requests takes the webhook {{ "{{" }} $value | humanizeDuration }} or longer.
    expr: histogram_quantile(0.99, sum by (le) (rate(webhook_request_duration_seconds_bucket[5m]))) > 0.1
    for: 10m
    labels:
      component: webhook
      severity: warning
  {{- end }}
  {{- if .Values.webhook.enabled }}
  - alert: KubeDevopsWebhookCertificateExpiring
    annotations:
      runbook_url: {{ .Values.monitoring.prometheusRule.runbooks }}/KubeDevopsWebhookCertificateExpiring.md
      summary: The certificate of the webhook expires in {{ "{{" }} $value | humanizeDuration }}.
    expr: min(webhook_certificate_expiry_seconds) < 7 * 24 * 3600
    for: 1h
    labels:
      component: webhook
      severity: warning
  {{- end }}
{{- end }}
