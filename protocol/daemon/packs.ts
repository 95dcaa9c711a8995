/**
 * Packs, daemon → relay: what a daemon says in one turn, in one WebSocket message. Every message wakes its relay and is
 * billed, so a daemon with many streams, or one whose engine gives several pieces at once, says it all together.
 *
 *     u32 0 · u8 2 · u8 0 · u16 items, then for each item  u8 type · u24 length · bytes        big-endian
 *
 * An item is a control message (type 0, JSON text) or a frame (type 1). Its place in the pack is its place in time. A pack
 * looks like a frame of kind 2, which no frame has.
 */

import { utf8ToBytes } from "../../core/receipt/canonical.ts";
import { FRAME_HEAD_BYTES } from "./frames.ts";

/** What goes into a pack: a control message's JSON text, or a frame. */
export type PackItem = string | Uint8Array;

/** What comes out of it. A text is left in bytes, for a decoder that refuses what is no UTF-8. */
export interface PackedItem {
  readonly type: "text" | "frame";
  readonly bytes: Uint8Array;
}

const PACK_KIND = 2;
const ITEM_HEAD_BYTES = 4;
/** u16 */
const MOST_ITEMS = 0xffff;
const TEXT = 0;
const FRAME = 1;

/** Writes a pack. An item has less than 16 MiB. */
export function encodePack(items: readonly PackItem[]): Uint8Array<ArrayBuffer> {
  const bodies = items.map((item) => (typeof item === "string" ? utf8ToBytes(item) : item));
  const size = bodies.reduce((sum, body) => sum + ITEM_HEAD_BYTES + body.length, FRAME_HEAD_BYTES);
  const bytes = new Uint8Array(size);
  const view = new DataView(bytes.buffer);
  view.setUint8(4, PACK_KIND);
  view.setUint16(6, items.length);
  let at = FRAME_HEAD_BYTES;
  for (const [index, body] of bodies.entries()) {
    view.setUint32(at, body.length);
    view.setUint8(at, typeof items[index] === "string" ? TEXT : FRAME);
    bytes.set(body, at + ITEM_HEAD_BYTES);
    at += ITEM_HEAD_BYTES + body.length;
  }
  return bytes;
}

/** Whether a binary message is a pack rather than a frame. */
export function isPack(bytes: Uint8Array): boolean {
  return bytes.length >= FRAME_HEAD_BYTES && bytes[4] === PACK_KIND;
}

/** Reads a pack whole, or says what is wrong with it. Items are views into its bytes. */
export function decodePack(bytes: Uint8Array): { readonly items: readonly PackedItem[] } | { readonly error: string } {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const count = view.getUint16(6);
  const items: PackedItem[] = [];
  let at = FRAME_HEAD_BYTES;
  while (at + ITEM_HEAD_BYTES <= bytes.length) {
    const type = view.getUint8(at);
    const length = view.getUint32(at) & 0xffffff;
    const body = bytes.subarray(at + ITEM_HEAD_BYTES, at + ITEM_HEAD_BYTES + length);
    if (body.length !== length) return { error: `item ${items.length} of the pack is cut off` };
    if (type !== TEXT && type !== FRAME) return { error: `item ${items.length} of the pack is neither text nor frame` };
    items.push({ type: type === TEXT ? "text" : "frame", bytes: body });
    at += ITEM_HEAD_BYTES + length;
  }
  if (at !== bytes.length || items.length !== count) return { error: `the pack names ${count} items and has others` };
  return { items };
}

/** Gathers what is sent in one turn and hands it on as one message. A single item goes as it is. */
export class Packer {
  readonly #send: (message: PackItem) => void;
  readonly #later: (flush: () => void) => void;
  readonly #mostBytes: number;
  #items: PackItem[] = [];
  #bytes = FRAME_HEAD_BYTES;

  /** `later` calls back at the end of the turn; a pack has `mostBytes` at most, and what is larger goes by itself. */
  constructor(send: (message: PackItem) => void, later: (flush: () => void) => void, mostBytes: number) {
    this.#send = send;
    this.#later = later;
    this.#mostBytes = mostBytes;
  }

  add(item: PackItem): void {
    // A text in UTF-8 has at most three bytes for each of its units.
    const bytes = ITEM_HEAD_BYTES + (typeof item === "string" ? 3 * item.length : item.length);
    if (this.#bytes + bytes > this.#mostBytes || this.#items.length === MOST_ITEMS) this.flush();
    this.#items.push(item);
    this.#bytes += bytes;
    if (this.#items.length === 1) this.#later(() => this.flush());
  }

  /** Sends what was gathered. */
  flush(): void {
    const [first, ...more] = this.#items;
    if (first === undefined) return;
    const message = more.length === 0 ? first : encodePack(this.#items);
    this.#items = [];
    this.#bytes = FRAME_HEAD_BYTES;
    this.#send(message);
  }
}
