/** Bindings of libbpf 1.1 and newer. No logic: `bpf_object.ts` and its neighbours give the functions their meaning. */

const symbols = {
  // bpf/libbpf.h
  libbpf_version_string: {
    parameters: [],
    result: "pointer", // const char *
  },
  libbpf_set_print: {
    parameters: [
      "function", // int (*)(enum libbpf_print_level level, const char *format, va_list)
    ],
    result: "pointer", // the former function
  },
  libbpf_get_error: {
    parameters: [
      "pointer", // const void *ptr; NULL gives -errno
    ],
    result: "i64", // long
  },
  libbpf_num_possible_cpus: {
    parameters: [],
    result: "i32",
  },
  bpf_object__open_mem: {
    parameters: [
      "buffer", // const void *obj_buf
      "usize", // size_t obj_buf_sz
      "buffer", // const struct bpf_object_open_opts *opts
    ],
    result: "pointer", // struct bpf_object *
  },
  bpf_object__load: {
    parameters: [
      "pointer", // struct bpf_object *obj
    ],
    result: "i32",
  },
  bpf_object__close: {
    parameters: [
      "pointer", // struct bpf_object *obj
    ],
    result: "void",
  },
  bpf_object__btf: {
    parameters: [
      "pointer", // const struct bpf_object *obj
    ],
    result: "pointer", // struct btf *, owned by the object
  },
  bpf_object__next_program: {
    parameters: [
      "pointer", // const struct bpf_object *obj
      "pointer", // struct bpf_program *prog; NULL for the first
    ],
    result: "pointer", // struct bpf_program *
  },
  bpf_program__name: {
    parameters: [
      "pointer", // const struct bpf_program *prog
    ],
    result: "pointer", // const char *
  },
  bpf_program__set_autoload: {
    parameters: [
      "pointer", // struct bpf_program *prog
      "bool", // bool autoload
    ],
    result: "i32",
  },
  bpf_program__fd: {
    parameters: [
      "pointer", // const struct bpf_program *prog
    ],
    result: "i32",
  },
  bpf_object__find_map_by_name: {
    parameters: [
      "pointer", // const struct bpf_object *obj
      "buffer", // const char *name
    ],
    result: "pointer", // struct bpf_map *
  },
  bpf_object__next_map: {
    parameters: [
      "pointer", // const struct bpf_object *obj
      "pointer", // const struct bpf_map *map; NULL for the first
    ],
    result: "pointer", // struct bpf_map *
  },
  bpf_map__name: {
    parameters: [
      "pointer", // const struct bpf_map *map
    ],
    result: "pointer", // const char *
  },
  bpf_map__fd: {
    parameters: [
      "pointer", // const struct bpf_map *map
    ],
    result: "i32",
  },
  bpf_map__type: {
    parameters: [
      "pointer", // const struct bpf_map *map
    ],
    result: "u32", // enum bpf_map_type
  },
  bpf_map__key_size: {
    parameters: [
      "pointer", // const struct bpf_map *map
    ],
    result: "u32",
  },
  bpf_map__value_size: {
    parameters: [
      "pointer", // const struct bpf_map *map
    ],
    result: "u32",
  },
  bpf_map__max_entries: {
    parameters: [
      "pointer", // const struct bpf_map *map
    ],
    result: "u32",
  },
  bpf_map__set_max_entries: {
    parameters: [
      "pointer", // struct bpf_map *map
      "u32", // __u32 max_entries
    ],
    result: "i32",
  },
  bpf_map__reuse_fd: {
    parameters: [
      "pointer", // struct bpf_map *map
      "i32", // int fd; duplicated
    ],
    result: "i32",
  },
  bpf_map__initial_value: {
    parameters: [
      "pointer", // struct bpf_map *map
      "buffer", // size_t *psize
    ],
    result: "pointer", // const void *
  },
  bpf_tc_hook_create: {
    parameters: [
      "buffer", // struct bpf_tc_hook *hook
    ],
    result: "i32",
  },
  bpf_tc_hook_destroy: {
    parameters: [
      "buffer", // struct bpf_tc_hook *hook
    ],
    result: "i32",
  },
  bpf_tc_attach: {
    parameters: [
      "buffer", // const struct bpf_tc_hook *hook
      "buffer", // struct bpf_tc_opts *opts
    ],
    result: "i32",
  },
  bpf_tc_detach: {
    parameters: [
      "buffer", // const struct bpf_tc_hook *hook
      "buffer", // const struct bpf_tc_opts *opts
    ],
    result: "i32",
  },
  bpf_tc_query: {
    parameters: [
      "buffer", // const struct bpf_tc_hook *hook
      "buffer", // struct bpf_tc_opts *opts
    ],
    result: "i32",
  },
  // bpf/btf.h
  btf__raw_data: {
    parameters: [
      "pointer", // const struct btf *btf
      "buffer", // __u32 *size
    ],
    result: "pointer", // const void *
  },
  // bpf/bpf.h
  bpf_map_create: {
    parameters: [
      "u32", // enum bpf_map_type map_type
      "buffer", // const char *map_name
      "u32", // __u32 key_size
      "u32", // __u32 value_size
      "u32", // __u32 max_entries
      "pointer", // const struct bpf_map_create_opts *opts
    ],
    result: "i32", // file descriptor
  },
  bpf_map_lookup_elem: {
    parameters: [
      "i32", // int fd
      "buffer", // const void *key
      "buffer", // void *value
    ],
    result: "i32",
  },
  bpf_map_update_elem: {
    parameters: [
      "i32", // int fd
      "buffer", // const void *key
      "buffer", // const void *value
      "u64", // __u64 flags
    ],
    result: "i32",
  },
  bpf_map_delete_elem: {
    parameters: [
      "i32", // int fd
      "buffer", // const void *key
    ],
    result: "i32",
  },
  bpf_map_lookup_and_delete_elem: {
    parameters: [
      "i32", // int fd
      "buffer", // const void *key
      "buffer", // void *value
    ],
    result: "i32",
  },
  bpf_map_get_next_key: {
    parameters: [
      "i32", // int fd
      "buffer", // const void *key; NULL for the first
      "buffer", // void *next_key
    ],
    result: "i32",
  },
  bpf_map_lookup_batch: {
    parameters: [
      "i32", // int fd
      "buffer", // void *in_batch; NULL for the start
      "buffer", // void *out_batch
      "buffer", // void *keys
      "buffer", // void *values
      "buffer", // __u32 *count
      "pointer", // const struct bpf_map_batch_opts *opts
    ],
    result: "i32",
  },
  bpf_map_delete_batch: {
    parameters: [
      "i32", // int fd
      "buffer", // const void *keys
      "buffer", // __u32 *count
      "pointer", // const struct bpf_map_batch_opts *opts
    ],
    result: "i32",
  },
  bpf_link_create: {
    parameters: [
      "i32", // int prog_fd
      "i32", // int target_fd; the interface index for TCX
      "u32", // enum bpf_attach_type attach_type
      "buffer", // const struct bpf_link_create_opts *opts
    ],
    result: "i32", // file descriptor
  },
  bpf_obj_get_info_by_fd: {
    parameters: [
      "i32", // int bpf_fd
      "buffer", // void *info
      "buffer", // __u32 *info_len
    ],
    result: "i32",
  },
  bpf_prog_test_run_opts: {
    parameters: [
      "i32", // int prog_fd
      "buffer", // struct bpf_test_run_opts *opts
    ],
    result: "i32",
  },
} as const satisfies Deno.ForeignLibraryInterface;

/** The bound functions of libbpf. */
export type Libbpf = Deno.DynamicLibrary<typeof symbols>["symbols"];

/** Where a packaged agent keeps its own copy; the system's copy is tried after it. */
const PACKAGED = "/usr/local/lib/retina/libbpf.so.1";
const SONAME = "libbpf.so.1";

let opened: Libbpf | undefined;

/**
 * libbpf, opened at the first call and kept open for ever: from `RETINA_LIBBPF` if that is set, else from the packaged path, else
 * by its soname. Its own printing to stderr is switched off; `bpf_log.ts` catches the lines that matter.
 *
 * @throws {Deno.errors.NotCapable} when Deno may not load it (`--allow-ffi`).
 * @throws {Error} when it is not there; the cause is the loader's error.
 */
export function libbpf(): Libbpf {
  if (opened === undefined) {
    opened = open();
    opened.libbpf_set_print(null);
  }
  return opened;
}

function open(): Libbpf {
  const override = Deno.env.get("RETINA_LIBBPF");
  const candidates = override === undefined ? [PACKAGED, SONAME] : [override];
  let cause: unknown;
  for (const path of candidates) {
    try {
      return Deno.dlopen(path, symbols).symbols;
    } catch (error) {
      if (error instanceof Deno.errors.NotCapable && path !== PACKAGED) throw error;
      cause = error;
    }
  }
  throw new Error(
    `Cannot open libbpf: tried ${
      candidates.map((path) => JSON.stringify(path)).join(" and ")
    }, expected version 1.1 or newer, ` +
      "install it (apt-get install libbpf1) or point RETINA_LIBBPF at it",
    { cause },
  );
}
