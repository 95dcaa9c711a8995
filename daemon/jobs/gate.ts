/** Something that is open or closed, and that can be waited for. */
export class Gate {
  #closed: { readonly opened: Promise<void>; readonly open: () => void } | null = null;

  get isOpen(): boolean {
    return this.#closed === null;
  }

  close(): void {
    if (this.#closed !== null) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#closed = { opened: promise, open: () => resolve() };
  }

  open(): void {
    this.#closed?.open();
    this.#closed = null;
  }

  /** Resolves when the gate is open. */
  async passed(): Promise<void> {
    while (this.#closed !== null) await this.#closed.opened;
  }
}
