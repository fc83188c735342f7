"""See what a Kubernetes HorizontalPodAutoscaler would do: the controller's own arithmetic, without a cluster."""
