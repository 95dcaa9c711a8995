/**
 * A binary heap whose items know their places, so that one can be taken out or moved in O(log n) wherever it is. Whoever
 * changes what an item is compared by says so with {@link Heap.moved}.
 */
export class Heap<Item extends object> {
  readonly #before: (a: Item, b: Item) => boolean;
  readonly #items: Item[] = [];
  readonly #places = new Map<Item, number>();

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

  has(item: Item): boolean {
    return this.#places.has(item);
  }

  /** Adds an item. Adding one that is there already moves it. */
  add(item: Item): void {
    if (this.#places.has(item)) return this.moved(item);
    this.#items.push(item);
    this.#places.set(item, this.#items.length - 1);
    this.#up(item, this.#items.length - 1);
  }

  /** Takes an item out. False when it is not there. */
  remove(item: Item): boolean {
    const place = this.#places.get(item);
    if (place === undefined) return false;
    this.#places.delete(item);
    const last = this.#items.pop() as Item;
    if (last !== item) {
      this.#put(last, place);
      this.moved(last);
    }
    return true;
  }

  /** Finds the place of an item that has changed. */
  moved(item: Item): void {
    const place = this.#places.get(item);
    if (place === undefined) return;
    if (!this.#up(item, place)) this.#down(item, place);
  }

  /** The items that satisfy what every item before a satisfying one satisfies as well, such as "is due", in no order. */
  *while(holds: (item: Item) => boolean): Generator<Item> {
    const places = [0];
    for (let place = places.pop(); place !== undefined; place = places.pop()) {
      const item = this.#items[place];
      if (item === undefined || !holds(item)) continue;
      yield item;
      places.push(2 * place + 1, 2 * place + 2);
    }
  }

  /** The first item that does not satisfy what {@link while} looks for; undefined when all do. */
  firstWithout(holds: (item: Item) => boolean): Item | undefined {
    let first: Item | undefined;
    const places = [0];
    for (let place = places.pop(); place !== undefined; place = places.pop()) {
      const item = this.#items[place];
      if (item === undefined) continue;
      if (holds(item)) places.push(2 * place + 1, 2 * place + 2);
      else if (first === undefined || this.#before(item, first)) first = item;
    }
    return first;
  }

  #put(item: Item, place: number): void {
    this.#items[place] = item;
    this.#places.set(item, place);
  }

  #up(item: Item, from: number): boolean {
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

  #down(item: Item, from: number): void {
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
