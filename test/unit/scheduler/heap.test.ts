import * as fc from "fast-check";
import { expect, it } from "vitest";
import { Heap, type InHeap } from "../../../core/scheduler/heap.ts";

interface Item extends InHeap {
  value: number;
}

const heapOf = (items: readonly Item[]): Heap<Item> => {
  const heap = new Heap<Item>((a, b) => a.value < b.value);
  for (const item of items) heap.add(item);
  return heap;
};

function drain(heap: Heap<Item>): number[] {
  const values: number[] = [];
  for (let top = heap.top; top !== undefined; top = heap.top) {
    values.push(top.value);
    heap.remove(top);
  }
  return values;
}

const someValues = fc.array(fc.integer({ min: 0, max: 50 }), { maxLength: 40 });
const someChanges = fc.array(fc.tuple(fc.nat(), fc.integer({ min: 0, max: 50 }), fc.boolean()), { maxLength: 40 });

it("gives its items in order, whatever was changed or taken out in between", () => {
  fc.assert(
    fc.property(someValues, someChanges, (values, changes) => {
      const items = values.map((value) => ({ value, heapPlace: -1 }));
      const heap = heapOf(items);
      const here = new Set(items);
      for (const [index, value, out] of changes) {
        const item = items[index % Math.max(1, items.length)];
        if (item === undefined) continue;
        if (out) {
          expect(heap.remove(item)).toBe(here.delete(item));
          continue;
        }
        item.value = value;
        heap.moved(item);
      }
      expect(heap.size).toBe(here.size);
      expect(drain(heap)).toEqual([...here].map(({ value }) => value).sort((a, b) => a - b));
    }),
  );
});
