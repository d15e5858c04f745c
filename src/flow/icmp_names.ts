/**
 * Names of ICMP types and codes as Hubble prints them (those of the gopacket library), so that a user can compare.
 * Numbers: https://www.iana.org/assignments/icmp-parameters, https://www.iana.org/assignments/icmpv6-parameters
 */

/** Name of a type, and of its codes by number where the code means something. */
type Names = Readonly<Record<number, readonly [type: string, codes?: readonly string[]]>>;

const V4: Names = {
  0: ["EchoReply"],
  3: ["DestinationUnreachable", [
    "Net",
    "Host",
    "Protocol",
    "Port",
    "FragmentationNeeded",
    "SourceRoutingFailed",
    "NetUnknown",
    "HostUnknown",
    "SourceIsolated",
    "NetAdminProhibited",
    "HostAdminProhibited",
    "NetTOS",
    "HostTOS",
    "CommAdminProhibited",
    "HostPrecedence",
    "PrecedenceCutoff",
  ]],
  4: ["SourceQuench"],
  5: ["Redirect", ["Net", "Host", "TOS+Net", "TOS+Host"]],
  8: ["EchoRequest"],
  9: ["RouterAdvertisement"],
  10: ["RouterSolicitation"],
  11: ["TimeExceeded", ["TTLExceeded", "FragmentReassemblyTimeExceeded"]],
  12: ["ParameterProblem", ["PointerIndicatesError", "MissingOption", "BadLength"]],
  13: ["TimestampRequest"],
  14: ["TimestampReply"],
  15: ["InfoRequest"],
  16: ["InfoReply"],
  17: ["AddressMaskRequest"],
  18: ["AddressMaskReply"],
};

const V6: Names = {
  1: ["DestinationUnreachable", [
    "NoRouteToDst",
    "AdminProhibited",
    "BeyondScopeOfSrc",
    "AddressUnreachable",
    "PortUnreachable",
    "SrcAddressFailedPolicy",
    "RejectRouteToDst",
  ]],
  2: ["PacketTooBig"],
  3: ["TimeExceeded", ["HopLimitExceeded", "FragmentReassemblyTimeExceeded"]],
  // Code 2 is an unrecognized option (RFC 4443 section 3.4); the name is a slip of gopacket that users see in Hubble.
  4: ["ParameterProblem", ["ErroneousHeaderField", "UnrecognizedNextHeader", "UnrecognizedNextHeader"]],
  128: ["EchoRequest"],
  129: ["EchoReply"],
  133: ["RouterSolicitation"],
  134: ["RouterAdvertisement"],
  135: ["NeighborSolicitation"],
  136: ["NeighborAdvertisement"],
  137: ["Redirect"],
};

function name(names: Names, type: number, code: number): string {
  const known = names[type];
  if (known === undefined) return `${type}(${code})`;
  const [typeName, codes] = known;
  if (codes === undefined) return code === 0 ? typeName : `${typeName}(Code: ${code})`;
  return `${typeName}(${codes[code] ?? `Code: ${code}`})`;
}

/** `EchoRequest`, `DestinationUnreachable(Port)`, `TimeExceeded(Code: 9)`, `42(0)`. */
export function icmpv4Name(type: number, code: number): string {
  return name(V4, type, code);
}

/** As {@link icmpv4Name}, for ICMPv6. */
export function icmpv6Name(type: number, code: number): string {
  return name(V6, type, code);
}
