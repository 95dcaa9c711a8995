/** Whoever watches a balance: it keeps what it is told, folds it, and acknowledges as a good reader does. */

import { ackText, type LiveMessage, liveMessage } from "../../protocol/network/live-balance.ts";

/** What workerd's sockets and Node's have in common. */
interface Socket {
  send(text: string): void;
  close(code?: number, reason?: string): void;
  addEventListener(type: "message", listener: (event: { data: unknown }) => void): void;
  addEventListener(type: "close", listener: (event: { code: number; reason: string }) => void): void;
}

type Snapshot = LiveMessage & { readonly type: "snapshot" };
type Told = Exclude<LiveMessage, { readonly type: "end" }>;
type Seen = Pick<Snapshot, "available" | "held" | "open_jobs"> & {
  readonly lots: Map<string, Snapshot["lots"][number]>;
};

export class LiveWatcher {
  readonly messages: LiveMessage[] = [];
  /** Texts that are no messages, such as `pong`. */
  readonly texts: string[] = [];
  readonly closed: Promise<{ code: number; reason: string }>;
  readonly #socket: Socket;
  readonly #waiting = new Set<() => void>();
  /** Whether it answers `ack`; one that does not has stopped to read, as far as the network can tell. */
  acknowledges: boolean;

  constructor(socket: Socket, { acknowledges = true } = {}) {
    this.#socket = socket;
    this.acknowledges = acknowledges;
    socket.addEventListener("message", ({ data }) => this.#hear(String(data)));
    this.closed = new Promise((resolve) => {
      socket.addEventListener("close", ({ code, reason }) => resolve({ code, reason }));
    });
  }

  #hear(text: string): void {
    if (text.startsWith("{")) {
      const message = liveMessage.parse(JSON.parse(text));
      this.messages.push(message);
      if (message.type !== "end" && message.ack !== undefined && this.acknowledges) {
        this.#socket.send(ackText(message.ack));
      }
    } else this.texts.push(text);
    for (const wake of this.#waiting) wake();
  }

  say(text: string): void {
    this.#socket.send(text);
  }

  close(): void {
    this.#socket.close(1000, "");
  }

  /** Waits until something holds of what it has heard. */
  async until(condition: () => boolean, what: string): Promise<void> {
    if (condition()) return;
    await new Promise<void>((resolve, reject) => {
      const late = setTimeout(
        () => reject(new Error(`never heard: ${what}: ${JSON.stringify(this.messages)}`)),
        15_000,
      );
      const wake = (): void => {
        if (!condition()) return;
        clearTimeout(late);
        this.#waiting.delete(wake);
        resolve();
      };
      this.#waiting.add(wake);
    });
  }

  /** The snapshots and changes so far. */
  get told(): Told[] {
    return this.messages.filter((message) => message.type !== "end");
  }

  /** Everything that the messages say to have happened, in order. */
  get entries(): Told["entries"] {
    return this.told.flatMap(({ entries }) => entries);
  }

  get last(): Told | undefined {
    return this.told.at(-1);
  }

  /** What a reader knows who has followed: a snapshot replaces, a change adds. */
  get seen(): Omit<Seen, "lots"> & { readonly lots: Snapshot["lots"] } {
    const lots = new Map<string, Snapshot["lots"][number]>();
    for (const message of this.told) {
      if (message.type === "snapshot") lots.clear();
      for (const lot of message.lots) {
        if (Number(lot.available) + Number(lot.held) > 0) lots.set(lot.id, lot);
        else lots.delete(lot.id);
      }
    }
    const { available = "", held = "", open_jobs = 0 } = this.last ?? {};
    return { available, held, open_jobs, lots: [...lots.values()].toSorted((a, b) => (a.id < b.id ? -1 : 1)) };
  }
}
