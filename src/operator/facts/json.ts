/**
 * Careful reading of API objects. What a watch delivers is JSON that somebody else wrote: a controller, a webhook, a
 * broken proxy. A field of the wrong type counts as absent.
 */

export type Json = Readonly<Record<string, unknown>>;

const NOTHING: Json = Object.freeze({});

/** A member that is an object, else an empty one. */
export function object(from: Json, key: string): Json {
  return asObject(from[key]) ?? NOTHING;
}

export function asObject(value: unknown): Json | undefined {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? value as Json : undefined;
}

/** A member that is a string, else an empty one. */
export function string(from: Json, key: string): string {
  const value = from[key];
  return typeof value === "string" ? value : "";
}

/** The objects of a member that is a list. */
export function objects(from: Json, key: string): Json[] {
  const value = from[key];
  return Array.isArray(value) ? value.map(asObject).filter((item) => item !== undefined) : [];
}

/** The strings of a member that is a list. */
export function strings(from: Json, key: string): string[] {
  const value = from[key];
  return Array.isArray(value) ? value.filter((item) => typeof item === "string") : [];
}

/** What every API object carries. */
export interface Meta {
  readonly uid: string;
  readonly namespace: string;
  readonly name: string;
  /** Milliseconds since 1970; 0 when unknown. */
  readonly created: number;
}

/** An object's metadata; undefined when it has no name, or no namespace though it must have one. */
export function metaOf(from: Json, namespaced: boolean): Meta | undefined {
  const metadata = object(from, "metadata");
  const name = string(metadata, "name"), namespace = string(metadata, "namespace");
  if (name === "" || namespaced && namespace === "") return undefined;
  const created = Date.parse(string(metadata, "creationTimestamp"));
  return { uid: string(metadata, "uid"), namespace, name, created: Number.isNaN(created) ? 0 : created };
}

/** Key of an object among those of its kind. */
export function keyOf(meta: { readonly namespace: string; readonly name: string }): string {
  return meta.namespace === "" ? meta.name : `${meta.namespace}/${meta.name}`;
}
