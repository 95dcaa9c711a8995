/** What can be in a heap, one at a time: it knows its own place there. */
export interface InHeap {
  /** -1 while it is in none. */
  heapPlace: number;
}

/**
 * A binary heap whose items know their places, so that one can be taken out or moved in O(log n) wherever it is. Whoever
 * changes what an item is compared by says so with {@link Heap.moved}.
 */
export class Heap<Item extends InHeap> {
  readonly #before: (a: Item, b: Item) => boolean;
  readonly #items: Item[] = [];

  /** `before` says whether an item comes out before another one: an order without ties, or ties come out in any order. */
  constructor(before: (a: Item, b: Item) => boolean) {
    this.#before = before;
  }

  get size(): number {
    return this.#items.length;
  }

  /** The first item, or undefined in an empty heap. */
  get top(): Item | undefined {
    return this.#items[0];
  }

  /** All items, in no order. */
  values(): IterableIterator<Item> {
    return this.#items.values();
  }

  /** Adds an item. Adding one that is there already moves it. */
  add(item: Item): void {
    if (item.heapPlace >= 0) return this.moved(item);
    item.heapPlace = this.#items.length;
    this.#items.push(item);
    this.#up(item);
  }

  /** Takes an item out. False when it is not there. */
  remove(item: Item): boolean {
    const place = item.heapPlace;
    if (place < 0) return false;
    item.heapPlace = -1;
    const last = this.#items.pop();
    if (last === undefined || last === item) return true;
    this.#put(last, place);
    this.moved(last);
    return true;
  }

  /** Finds the place of an item that has changed. */
  moved(item: Item): void {
    if (item.heapPlace >= 0 && !this.#up(item)) this.#down(item);
  }

  #put(item: Item, place: number): void {
    this.#items[place] = item;
    item.heapPlace = place;
  }

  #up(item: Item): boolean {
    const from = item.heapPlace;
    let place = from;
    while (place > 0) {
      const parent = (place - 1) >> 1;
      const above = this.#items[parent];
      if (above === undefined || !this.#before(item, above)) break;
      this.#put(above, place);
      place = parent;
    }
    if (place !== from) this.#put(item, place);
    return place !== from;
  }

  #down(item: Item): void {
    const from = item.heapPlace;
    let place = from;
    for (;;) {
      const left = 2 * place + 1;
      const right = this.#items[left + 1];
      let below = this.#items[left];
      let next = left;
      if (below === undefined) break;
      if (right !== undefined && this.#before(right, below)) {
        below = right;
        next = left + 1;
      }
      if (!this.#before(below, item)) break;
      this.#put(below, place);
      place = next;
    }
    if (place !== from) this.#put(item, place);
  }
}
