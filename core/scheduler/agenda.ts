/**
 * What is to be looked at, each at a time of its own. Most of it is void long before, and to take that out would cost more
 * than to leave it: void items are sorted out when they come first, or when most are.
 */

interface Due<Item> {
  readonly item: Item;
  readonly at: number;
}

/** Fewer are never worth sorting out. */
const FEW = 256;
const NEVER = Number.POSITIVE_INFINITY;

export class Agenda<Item> {
  readonly #stands: (item: Item) => boolean;
  /** A binary heap, the earliest first. */
  #dues: Due<Item>[] = [];
  #most = FEW;

  /** `stands` says whether an item is not void. What is void once stays so. */
  constructor(stands: (item: Item) => boolean) {
    this.#stands = stands;
  }

  add(item: Item, at: number): void {
    if (this.#dues.length >= this.#most) this.#sortOut();
    const due = { item, at };
    let place = this.#dues.length;
    while (place > 0) {
      const parent = (place - 1) >> 1;
      const above = this.#dues[parent];
      if (above === undefined || above.at <= at) break;
      this.#dues[place] = above;
      place = parent;
    }
    this.#dues[place] = due;
  }

  /** When the first item is due that stands; Infinity where none does. */
  get next(): number {
    for (;;) {
      const [first] = this.#dues;
      if (first === undefined) return NEVER;
      if (this.#stands(first.item)) return first.at;
      this.#takeFirst();
    }
  }

  /** The items that stand and are due, in no order; and when the next one is. They stay. */
  look(now: number): { readonly due: readonly Item[]; readonly next: number } {
    const first = this.next;
    if (first > now) return { due: [], next: first };
    const due: Item[] = [];
    let next = NEVER;
    const places = [0];
    for (let place = places.pop(); place !== undefined; place = places.pop()) {
      const at = this.#dues[place];
      // What comes after something later than the next one is later, too.
      if (at === undefined || at.at >= next) continue;
      const stands = this.#stands(at.item);
      if (stands && at.at > now) next = at.at;
      else {
        if (stands) due.push(at.item);
        places.push(2 * place + 1, 2 * place + 2);
      }
    }
    return { due, next };
  }

  /** Takes out the items that stand and are due, the earliest first. */
  take(now: number): Item[] {
    const taken: Item[] = [];
    while (this.next <= now) taken.push((this.#takeFirst() as Due<Item>).item);
    return taken;
  }

  #takeFirst(): Due<Item> | undefined {
    const dues = this.#dues;
    const [first] = dues;
    const last = dues.pop();
    if (last === undefined || dues.length === 0) return first;
    let place = 0;
    for (;;) {
      const left = 2 * place + 1;
      const [one, other] = [dues[left], dues[left + 1]];
      if (one === undefined) break;
      const isRight = other !== undefined && other.at < one.at;
      const below = isRight ? other : one;
      if (below.at >= last.at) break;
      dues[place] = below;
      place = isRight ? left + 1 : left;
    }
    dues[place] = last;
    return first;
  }

  /** What is in order is a heap. */
  #sortOut(): void {
    this.#dues = this.#dues.filter(({ item }) => this.#stands(item)).sort((a, b) => a.at - b.at);
    this.#most = Math.max(FEW, 2 * this.#dues.length);
  }
}
