/**
 * Token frames, daemon → relay (interfaces.md §3): u32 stream · u8 kind · u8 choice · u16 tokens · payload, big-endian.
 * Kind 0 carries text in whole UTF-8 code points, kind 1 a structured delta as JSON.
 */

import { LIMITS } from "../../core/limits.ts";
import { PAYLOAD_KINDS, type PayloadKind } from "../../core/receipt/digest.ts";

export const FRAME_HEAD_BYTES = 8;
/** u16 */
export const FRAME_MAX_TOKENS = 0xffff;

export interface Frame {
  readonly stream: number;
  readonly kind: PayloadKind;
  readonly choice: number;
  /** Completion tokens in the payload; billed as 0 when the payload is empty. */
  readonly tokens: number;
  readonly payload: Uint8Array;
}

/** Writes a frame. Throws a RangeError when a field does not fit. */
export function encodeFrame(frame: Frame): Uint8Array<ArrayBuffer> {
  const { stream, kind, choice, tokens, payload } = frame;
  if (!fits(stream, 0xffffffff) || !fits(choice, 0xff) || !fits(tokens, FRAME_MAX_TOKENS)) {
    throw new RangeError("a field of the frame does not fit");
  }
  const bytes = new Uint8Array(FRAME_HEAD_BYTES + payload.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, stream);
  view.setUint8(4, kind);
  view.setUint8(5, choice);
  view.setUint16(6, tokens);
  bytes.set(payload, FRAME_HEAD_BYTES);
  return bytes;
}

function fits(value: number, most: number): boolean {
  return Number.isInteger(value) && value >= 0 && value <= most;
}

/** Reads a frame, or says what is wrong with it. The payload is a view into the bytes. */
export function decodeFrame(bytes: Uint8Array): Frame | { readonly error: string } {
  if (bytes.length < FRAME_HEAD_BYTES) {
    return { error: `a frame has at least ${FRAME_HEAD_BYTES} bytes, this one has ${bytes.length}` };
  }
  if (bytes.length > LIMITS.daemonFrameBytes) {
    return { error: `a frame has at most ${LIMITS.daemonFrameBytes} bytes, this one has ${bytes.length}` };
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, FRAME_HEAD_BYTES);
  const kind = view.getUint8(4);
  if (!isPayloadKind(kind)) return { error: `kind ${kind} is unknown; 0 is text, 1 a structured delta` };
  return {
    stream: view.getUint32(0),
    kind,
    choice: view.getUint8(5),
    tokens: view.getUint16(6),
    payload: bytes.subarray(FRAME_HEAD_BYTES),
  };
}

function isPayloadKind(kind: number): kind is PayloadKind {
  return (PAYLOAD_KINDS as readonly number[]).includes(kind);
}
