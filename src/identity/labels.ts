/** A label without value is written without `=`, as Cilium does. */
export function withoutEmpty(label: string): string {
  return label.endsWith("=") && label.indexOf("=") === label.length - 1 ? label.slice(0, -1) : label;
}

/** A Kubernetes label `key=value` in Cilium form: `k8s:key=value`, or `k8s:key` when the value is empty. */
export function ciliumLabel(label: string): string {
  return `k8s:${withoutEmpty(label)}`;
}
