/**
 * Cuts an answer into frames. Text leaves in whole code points; every token that the engine counted is in exactly one
 * frame, and never in one without a payload, because such a frame is billed as 0.
 */

import { LIMITS } from "../../core/limits.ts";
import { type PayloadKind, ResponseDigest } from "../../core/receipt/digest.ts";
import { encodeFrame, FRAME_HEAD_BYTES, FRAME_MAX_TOKENS } from "../../protocol/daemon/frames.ts";
import type { StructuredDelta } from "../../protocol/openai/chat.ts";
import type { EnginePiece } from "../engines/engine.ts";
import { mergeDeltas } from "./merge-deltas.ts";

const PAYLOAD_BYTES = LIMITS.daemonFrameBytes - FRAME_HEAD_BYTES;
const encoder = new TextEncoder();

type Pending = { choice: number; tokens: number; bytes: number } & ({ text: string } | { delta: StructuredDelta });

export interface CutterOptions {
  readonly stream: number;
  readonly salt: Uint8Array;
  readonly choices: number;
  /** Keep the latest piece back, so that it can carry a correction of the count at the end. */
  readonly holdBack: boolean;
}

export class FrameCutter {
  readonly #options: CutterOptions;
  readonly #digest: ResponseDigest;
  /** In the order in which the pieces came. */
  #pending: Pending[] = [];
  /** Per choice: half of a surrogate pair whose other half is still to come, and tokens that had no payload. */
  readonly #halves: string[];
  readonly #carried: number[];
  #sentTokens = 0;
  #sentAny = false;

  constructor(options: CutterOptions) {
    this.#options = options;
    this.#digest = new ResponseDigest(options.salt, options.choices);
    this.#halves = Array.from({ length: options.choices }, () => "");
    this.#carried = Array.from({ length: options.choices }, () => 0);
  }

  /** Tokens in the frames that were taken so far. */
  get sentTokens(): number {
    return this.#sentTokens;
  }

  /** What the next frames would carry; a piece that is held back does not count. */
  get ready(): { readonly tokens: number; readonly bytes: number } {
    const ready = this.#ready();
    return { tokens: total(ready, "tokens"), bytes: total(ready, "bytes") };
  }

  /** The digest over the payloads of the frames that were taken, hex. */
  get digest(): string {
    return this.#digest.hex();
  }

  /** Adds a piece. Throws a RangeError for a choice that the request did not ask for. */
  push(piece: EnginePiece): void {
    const { choice } = piece;
    const tokens = piece.tokens + (this.#carried[choice] ?? 0);
    if (!(choice in this.#carried)) throw new RangeError(`no choice ${choice}`);
    this.#carried[choice] = 0;
    if (piece.type === "structured") {
      const bytes = encoder.encode(JSON.stringify(piece.delta)).length;
      if (bytes > PAYLOAD_BYTES) throw new RangeError("a structured delta does not fit a frame");
      this.#pending.push({ choice, tokens, bytes, delta: piece.delta });
      return;
    }
    let text = (this.#halves[choice] ?? "") + piece.text;
    this.#halves[choice] = endsWithHalf(text) ? text.slice(-1) : "";
    if (endsWithHalf(text)) text = text.slice(0, -1);
    if (text === "") this.#carried[choice] = tokens;
    else this.#pending.push({ choice, tokens, bytes: encoder.encode(text).length, text });
  }

  /** The frames of what is ready, merged by choice and kind. The first call takes everything: a first token never waits. */
  take(): Uint8Array[] {
    const ready = this.#ready();
    this.#pending = this.#pending.slice(ready.length);
    return this.#cut(ready);
  }

  /**
   * The frames of all that is left. `completion` is the engine's own count of the whole answer; where it differs from the
   * sum of the pieces, the difference goes into the last payloads, as far as they can carry it.
   */
  finish(completion: number | null): Uint8Array[] {
    this.#halves.forEach((half, choice) => {
      // A half that stayed alone is written as U+FFFD, as any encoder does.
      if (half !== "") this.#pending.push({ choice, tokens: 0, bytes: 3, text: half });
    });
    const rest = this.#pending;
    this.#pending = [];
    const last = rest.at(-1);
    if (last !== undefined) last.tokens += this.#carried.reduce((sum, tokens) => sum + tokens, 0);
    if (completion !== null) correct(rest, completion - this.#sentTokens - total(rest, "tokens"));
    return this.#cut(rest);
  }

  #ready(): Pending[] {
    return this.#options.holdBack && this.#sentAny ? this.#pending.slice(0, -1) : this.#pending;
  }

  #cut(pieces: readonly Pending[]): Uint8Array[] {
    return merge(pieces).flatMap((piece) => this.#encode(piece));
  }

  #encode(piece: Pending): Uint8Array[] {
    const kind: PayloadKind = "text" in piece ? 0 : 1;
    const bytes = encoder.encode("text" in piece ? piece.text : JSON.stringify(piece.delta));
    const parts = kind === 0 ? splitUtf8(bytes, PAYLOAD_BYTES) : [bytes];
    let tokens = piece.tokens;
    return parts.map((payload) => {
      // A u16 bounds what a frame can count; what is over goes to the next part, and is given up after the last.
      const own = Math.min(tokens, FRAME_MAX_TOKENS);
      tokens -= own;
      this.#sentTokens += own;
      this.#sentAny = true;
      this.#digest.update(kind, piece.choice, payload);
      return encodeFrame({ stream: this.#options.stream, kind, choice: piece.choice, tokens: own, payload });
    });
  }
}

/** Adds a difference to the last piece, or takes it from the last ones, none of which can go below 0. */
function correct(pieces: Pending[], difference: number): void {
  let rest = difference;
  for (const piece of pieces.toReversed()) {
    if (rest === 0) return;
    const change = Math.max(rest, -piece.tokens);
    piece.tokens += change;
    rest -= change;
  }
}

/** Puts pieces of one choice and kind together, as long as they fit a frame; in the order of their first piece. */
function merge(pieces: readonly Pending[]): Pending[] {
  const open = new Map<string, Pending>();
  const merged: Pending[] = [];
  for (const piece of pieces) {
    const key = `${piece.choice} ${"text" in piece}`;
    const before = open.get(key);
    if (before !== undefined && before.bytes + piece.bytes <= PAYLOAD_BYTES) {
      before.tokens += piece.tokens;
      before.bytes += piece.bytes;
      if ("text" in before && "text" in piece) before.text += piece.text;
      else if ("delta" in before && "delta" in piece) before.delta = mergeDeltas(before.delta, piece.delta);
      continue;
    }
    const copy = { ...piece };
    open.set(key, copy);
    merged.push(copy);
  }
  return merged;
}

function total(pieces: readonly Pending[], key: "tokens" | "bytes"): number {
  return pieces.reduce((sum, piece) => sum + piece[key], 0);
}

function endsWithHalf(text: string): boolean {
  const last = text.charCodeAt(text.length - 1);
  return last >= 0xd800 && last <= 0xdbff;
}

/** Splits UTF-8 bytes into parts of at most `most` bytes, between code points. */
export function splitUtf8(bytes: Uint8Array, most: number): Uint8Array[] {
  const parts: Uint8Array[] = [];
  for (let start = 0; start < bytes.length; ) {
    let end = Math.min(start + most, bytes.length);
    // Bytes 10xxxxxx continue a code point, so a part may not begin with one.
    while (end < bytes.length && ((bytes[end] ?? 0) & 0xc0) === 0x80) end--;
    parts.push(bytes.subarray(start, end));
    start = end;
  }
  return parts;
}
