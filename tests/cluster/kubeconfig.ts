/** The text of a kubeconfig with one cluster and one user, who acts in `namespace`. */
export function kubeconfig(cluster: object, user: object = {}, namespace = "default"): string {
  const name = "test";
  return JSON.stringify({
    apiVersion: "v1",
    kind: "Config",
    clusters: [{ name, cluster }],
    users: [{ name, user }],
    contexts: [{ name, context: { cluster: name, user: name, namespace } }],
    "current-context": name,
  });
}
