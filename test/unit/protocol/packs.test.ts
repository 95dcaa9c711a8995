import * as fc from "fast-check";
import { expect, it } from "vitest";
import { utf8ToBytes } from "../../../core/receipt/canonical.ts";
import { decodeFrame, encodeFrame } from "../../../protocol/daemon/frames.ts";
import { decodePack, encodePack, isPack, Packer, type PackItem } from "../../../protocol/daemon/packs.ts";

const frame = (text: string) => encodeFrame({ stream: 7, kind: 0, choice: 0, tokens: 1, payload: utf8ToBytes(text) });

it("gives back what was packed, in its order", () => {
  const item = fc.oneof(fc.string({ unit: "grapheme" }), fc.string().map(frame));
  fc.assert(
    fc.property(fc.array(item, { maxLength: 20 }), (items) => {
      const bytes = encodePack(items);
      expect(isPack(bytes)).toBe(true);
      const wanted = items.map((each) =>
        typeof each === "string" ? { type: "text", bytes: utf8ToBytes(each) } : { type: "frame", bytes: each },
      );
      expect(decodePack(bytes)).toEqual({ items: wanted });
    }),
  );
});

it("is no frame, and a frame is no pack", () => {
  expect(decodeFrame(encodePack(["{}"]))).toEqual({ error: expect.stringContaining("kind 2") as unknown });
  expect(isPack(frame("a"))).toBe(false);
  expect(isPack(new Uint8Array(7))).toBe(false);
});

it("never takes a damaged pack for another one, and never throws", () => {
  const bytes = encodePack(['{"type":"drain"}', frame("Hello"), frame(" there")]);
  for (let length = 8; length < bytes.length; length++) {
    expect(decodePack(bytes.slice(0, length))).toHaveProperty("error");
  }
  expect(decodePack(Uint8Array.of(...bytes, 0))).toHaveProperty("error");
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 8, maxLength: 64 }), (noise) => {
      const pack = decodePack(noise);
      if ("items" in pack) expect(encodePack(pack.items.map(({ bytes: body }) => body))).toHaveLength(noise.length);
    }),
  );
});

it.each([
  ["a third type of item", 8, 2, "item 0"],
  ["a longer item than there are bytes", 11, 255, "cut off"],
  ["another number of items", 7, 9, "9 items"],
])("says what is wrong with %s", (_, place, value, word) => {
  const bytes = encodePack(["{}"]);
  bytes[place] = value;
  expect(decodePack(bytes)).toEqual({ error: expect.stringContaining(word) as unknown });
});

it("never makes a pack larger than was agreed", () => {
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 0, max: 60 }), { maxLength: 40 }),
      fc.integer({ min: 20, max: 90 }),
      (sizes, most) => {
        const sent: PackItem[] = [];
        const packer = new Packer(
          (message) => sent.push(message),
          () => {},
          most,
        );
        for (const size of sizes) packer.add(new Uint8Array(size));
        packer.flush();
        const packs = sent.filter((each) => typeof each !== "string" && isPack(each)) as Uint8Array[];
        for (const pack of packs) expect(pack.length).toBeLessThanOrEqual(most);
        const items = packs.reduce((sum, pack) => sum + (decodePack(pack) as { items: unknown[] }).items.length, 0);
        expect(items + sent.length - packs.length).toBe(sizes.length);
      },
    ),
  );
});

it("sends what one turn says as one message, in order, and a single item as it is", () => {
  const sent: PackItem[] = [];
  const turns: (() => void)[] = [];
  const packer = new Packer(
    (message) => sent.push(message),
    (flush) => turns.push(flush),
    68,
  );
  const turn = (): void => turns.splice(0).forEach((flush) => flush());
  packer.add("alone");
  turn();
  expect(sent.splice(0)).toEqual(["alone"]);
  for (const item of ["a", frame("b"), "c"]) packer.add(item);
  expect(sent).toEqual([]);
  turn();
  expect(sent.splice(0)).toEqual([encodePack(["a", frame("b"), "c"])]);
  // What would make a pack too large goes into the next one.
  for (const item of ["x".repeat(12), "y".repeat(12)]) packer.add(item);
  turn();
  expect(sent.splice(0)).toEqual(["x".repeat(12), "y".repeat(12)]);
  turn();
  packer.flush();
  expect(sent).toEqual([]);
});
