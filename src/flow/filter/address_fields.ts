import { type Flow, type FlowFilter } from "../../../proto/gen/flow/flow_pb.ts";
import { parseAddress as readAddress } from "../../identity/address.ts";
import { EVENT } from "../record.ts";
import { addressText } from "../text.ts";
import { type AddressRange, parseAddress, parseRange, rangeHasWords } from "./address.ts";
import { FilterError, quote } from "./error.ts";
import { bothSides, type Predicate, type RecordTest } from "./predicate.ts";

/** What one field of addresses says, sorted by how it is compared. */
interface Addresses {
  /** Compared as text, so that another spelling of the same address never matches. */
  readonly texts: ReadonlyMap<string, AddressRange>;
  readonly ranges: readonly AddressRange[];
}

function parse(values: readonly string[]): Addresses {
  const texts = new Map<string, AddressRange>(), ranges: AddressRange[] = [];
  for (const value of values) {
    const parsed = value.includes("/") ? parseRange(value) : parseAddress(value);
    if (typeof parsed === "string") {
      throw new FilterError(
        `invalid IP ${value.includes("/") ? "prefix" : "address"} ${quote(value)} in filter: ${parsed}`,
      );
    }
    if (value.includes("/")) ranges.push(parsed);
    else texts.set(value, parsed);
  }
  return { texts, ranges };
}

const bytes = new Uint8Array(16);
const words = new Uint32Array(bytes.buffer);

function flowTest({ texts, ranges }: Addresses, get: (flow: Flow) => string | undefined): (flow: Flow) => boolean {
  return (flow) => {
    const text = get(flow) ?? "";
    if (text === "") return false;
    if (texts.has(text)) return true;
    // An address with a zone is no address to this parser, and in no range to Hubble.
    if (ranges.length === 0 || !readAddress(text, bytes)) return false;
    const family = text.includes(":") ? 6 : 4;
    return ranges.some((range) => range.family === family && rangeHasWords(range, words, 0));
  };
}

/** Exact addresses as ranges; one whose text is not what a record's flow would hold can match no record. */
function exactRanges(texts: ReadonlyMap<string, AddressRange>): AddressRange[] {
  const exact: AddressRange[] = [];
  for (const [text, range] of texts) {
    if (addressText(new Uint8Array(range.words.buffer), 0, range.family) === text) exact.push(range);
  }
  return exact;
}

/** Ranges of all bits are looked up by their last word; there are seldom two with the same. */
function indexByLastWord(ranges: readonly AddressRange[]): Map<number, AddressRange[]> {
  const index = new Map<number, AddressRange[]>();
  for (const range of ranges) {
    const others = index.get(range.words[3]);
    if (others === undefined) index.set(range.words[3], [range]);
    else others.push(range);
  }
  return index;
}

/** More exact addresses than this are looked up instead of compared one by one. */
const FEW = 4;

function recordTest({ texts, ranges }: Addresses, field: number): RecordTest | boolean {
  const exact = exactRanges(texts);
  const compared = exact.length > FEW ? ranges : [...exact, ...ranges];
  const index = exact.length > FEW ? indexByLastWord(exact) : undefined;
  if (compared.length === 0 && index === undefined) return false;
  return (view) => {
    const family = view.u8[view.at + EVENT.ip_version] === 4 ? 4 : 6, at = (view.at + field) >>> 2;
    for (let i = 0; i < compared.length; i++) {
      if (compared[i].family === family && rangeHasWords(compared[i], view.u32, at)) return true;
    }
    if (index === undefined) return false;
    const found = index.get(view.u32[at + 3]);
    return found !== undefined &&
      found.some((range) => range.family === family && rangeHasWords(range, view.u32, at));
  };
}

/** source_ip, destination_ip, source_ip_xlated. */
export function compileAddresses(filter: FlowFilter): Predicate[] {
  const predicates = bothSides(filter.sourceIp, filter.destinationIp, (values, side): Predicate => {
    const addresses = parse(values);
    return {
      flow: flowTest(addresses, (flow) => side === "source" ? flow.IP?.source : flow.IP?.destination),
      record: recordTest(addresses, side === "source" ? EVENT.src_addr : EVENT.dst_addr),
    };
  });
  if (filter.sourceIpXlated.length > 0) {
    // Records are seen before any translation: their flows have no translated address.
    predicates.push({ flow: flowTest(parse(filter.sourceIpXlated), (flow) => flow.IP?.sourceXlated), record: false });
  }
  return predicates;
}
