{{/* The pod, the same for both kinds of workload. */}}
{{- define "worker.pod" -}}
metadata:
  labels:
    {{- include "worker.labels" . | nindent 4 }}
    {{- with .Values.podLabels }}{{ toYaml . | nindent 4 }}{{ end }}
  annotations:
    # These do not keep the cluster's autoscaler from emptying a node: nothing in them outlives the pod anyway.
    cluster-autoscaler.kubernetes.io/safe-to-evict-local-volumes: {{ ternary "tmp" "state,tmp" (eq .Values.kind "StatefulSet") }}
    {{- with .Values.podAnnotations }}{{ toYaml . | nindent 4 }}{{ end }}
spec:
  serviceAccountName: {{ include "worker.serviceAccount" . }}
  automountServiceAccountToken: false
  enableServiceLinks: false
  {{- if .Values.sandbox.bubblewrap.enabled }}
  hostUsers: false
  {{- end }}
  # drainSeconds, and a minute at most to end what still runs then, deliver the last events and sign off.
  terminationGracePeriodSeconds: {{ add .Values.drainSeconds 60 }}
  {{- with .Values.image.pullSecrets }}
  imagePullSecrets:
    {{- range . }}
    - name: {{ . }}
    {{- end }}
  {{- end }}
  {{- with .Values.priorityClassName }}
  priorityClassName: {{ . }}
  {{- end }}
  {{- with .Values.runtimeClassName }}
  runtimeClassName: {{ . }}
  {{- end }}
  securityContext:
    # No runAsUser: the image names one, and OpenShift gives another.
    runAsNonRoot: true
    {{- with .Values.fsGroup }}
    fsGroup: {{ . }}
    fsGroupChangePolicy: OnRootMismatch
    {{- end }}
    seccompProfile:
      {{- if .Values.sandbox.bubblewrap.enabled }}
      type: Localhost
      localhostProfile: {{ .Values.sandbox.bubblewrap.localhostProfile }}
      {{- else }}
      type: RuntimeDefault
      {{- end }}
  containers:
    - name: worker
      image: {{ include "worker.image" . | quote }}
      imagePullPolicy: {{ .Values.image.pullPolicy }}
      args: [start, --log-format=json]
      env:
        - name: QUEUE_ID
          value: {{ required "queues: name at least one worker queue, such as --set queues={ID}" (join "," .Values.queues) | quote }}
        {{- with .Values.controlPlaneUrl }}
        - name: CONTROL_PLANE_URL
          value: {{ . | quote }}
        {{- end }}
        # A file, not a variable: process 1 keeps its variables where a tool of the same user could read them.
        - name: KUBIYA_API_KEY_FILE
          value: /run/secrets/kubiya/api-key
        - name: KUBIYA_WORKER_HOME
          value: /var/lib/kubiya-worker
        - name: HOME
          value: /var/lib/kubiya-worker
        - name: TMPDIR
          value: /tmp
        - name: KUBIYA_WORKER_STATUS_HOST
          value: {{ .Values.status.host | quote }}
        - name: KUBIYA_WORKER_STATUS_PORT
          value: {{ .Values.status.port | quote }}
        - name: KUBIYA_WORKER_DRAIN_TIMEOUT
          value: {{ .Values.drainSeconds | quote }}
        - name: KUBIYA_WORKER_SANDBOX
          value: {{ .Values.sandbox.mechanism }}
        - name: KUBIYA_WORKER_REQUIRE_SANDBOX
          value: {{ .Values.sandbox.require }}
        {{- with .Values.gateway.url }}
        - name: LITELLM_API_BASE
          value: {{ . | quote }}
        {{- end }}
        {{- if .Values.gateway.secretName }}
        - name: LITELLM_API_KEY_FILE
          value: /run/secrets/gateway/api-key
        {{- end }}
        {{- range $name := keys .Values.settings | sortAlpha }}
        - name: {{ $name }}
          value: {{ include "worker.text" (get $.Values.settings $name) | quote }}
        {{- end }}
        {{- with .Values.extraEnv }}{{ toYaml . | nindent 8 }}{{ end }}
      ports:
        - name: status
          containerPort: {{ .Values.status.port }}
      # Up within two minutes, or started again. An outage of the control plane does not count: /healthz is about the
      # process alone.
      startupProbe:
        httpGet: { path: /healthz, port: status }
        periodSeconds: 2
        failureThreshold: 60
      livenessProbe:
        httpGet: { path: /healthz, port: status }
        periodSeconds: 20
        timeoutSeconds: 5
        failureThreshold: 6
      readinessProbe:
        httpGet: { path: /readyz, port: status }
        periodSeconds: 5
        timeoutSeconds: 3
        failureThreshold: 1
      # Why it left stands in `kubectl describe pod`.
      terminationMessagePolicy: FallbackToLogsOnError
      {{- with .Values.resources }}
      resources: {{- toYaml . | nindent 8 }}
      {{- end }}
      securityContext:
        allowPrivilegeEscalation: false
        readOnlyRootFilesystem: true
        capabilities:
          drop: [ALL]
        {{- if .Values.sandbox.bubblewrap.enabled }}
        procMount: Unmasked
        {{- end }}
      volumeMounts:
        - name: state
          mountPath: /var/lib/kubiya-worker
        - name: tmp
          mountPath: /tmp
        - name: api-key
          mountPath: /run/secrets/kubiya
          readOnly: true
        {{- if .Values.gateway.secretName }}
        - name: gateway-key
          mountPath: /run/secrets/gateway
          readOnly: true
        {{- end }}
        {{- with .Values.extraVolumeMounts }}{{ toYaml . | nindent 8 }}{{ end }}
  volumes:
    {{- if eq .Values.kind "Deployment" }}
    - name: state
      emptyDir:
        sizeLimit: {{ .Values.storage.size }}
    {{- end }}
    - name: tmp
      emptyDir:
        sizeLimit: {{ .Values.storage.temporarySize }}
    # Mounted as a folder, so that a key that is changed in the secret arrives without a new pod.
    - name: api-key
      secret:
        secretName: {{ .Values.apiKey.secretName }}
        defaultMode: 0440
        items:
          - key: {{ .Values.apiKey.secretKey }}
            path: api-key
    {{- if .Values.gateway.secretName }}
    - name: gateway-key
      secret:
        secretName: {{ .Values.gateway.secretName }}
        defaultMode: 0440
        items:
          - key: {{ .Values.gateway.secretKey }}
            path: api-key
    {{- end }}
    {{- with .Values.extraVolumes }}{{ toYaml . | nindent 4 }}{{ end }}
  {{- with .Values.nodeSelector }}
  nodeSelector: {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.tolerations }}
  tolerations: {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.affinity }}
  affinity: {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.topologySpreadConstraints }}
  topologySpreadConstraints: {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end }}
