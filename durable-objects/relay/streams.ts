/** The streams that pass through a relay, each with the socket of its daemon. In memory alone. */

import type { DaemonId, JobId } from "../../core/ids.ts";
import type { RelayJob } from "../../protocol/internal/job.ts";
import type { RunningJob } from "../../protocol/internal/pool.ts";
import type { JobStream } from "./job-stream.ts";

interface LiveStream {
  readonly stream: JobStream;
  readonly socket: WebSocket;
  /** Whether it is a user's job, and no probe. */
  readonly counts: boolean;
}

export class Streams {
  readonly #live = new Map<number, LiveStream>();
  /** Streams of an earlier life of the relay must never be taken for new ones, so numbers start anywhere. */
  #next = crypto.getRandomValues(new Uint32Array(1))[0] ?? 0;

  /** A number for a new stream. */
  number(): number {
    const number = this.#next;
    this.#next = (number + 1) >>> 0;
    return number;
  }

  add(stream: JobStream, socket: WebSocket, counts: boolean): void {
    this.#live.set(stream.id, { stream, socket, counts });
  }

  /** False when it was removed before. */
  remove(id: number): boolean {
    return this.#live.delete(id);
  }

  /** A socket's stream of a number, or null. */
  of(socket: WebSocket, id: number): JobStream | null {
    const live = this.#live.get(id);
    return live?.socket === socket ? live.stream : null;
  }

  /** All streams of a socket. */
  over(socket: WebSocket): JobStream[] {
    return this.#filter((live) => live.socket === socket);
  }

  jobs(): RelayJob[] {
    return this.#filter(() => true).map(({ job }) => job);
  }

  /** The attempts at a job that run here: two of them may. */
  at(job: JobId): JobStream[] {
    return this.#filter(({ stream }) => stream.job.job === job);
  }

  attempt(job: JobId, fence: number): JobStream | undefined {
    return this.at(job).find((stream) => stream.job.grant.fence === fence);
  }

  /** What runs here of a model, as its pool knows it. */
  running(model: string): RunningJob[] {
    return this.#filter(({ stream, counts }) => counts && stream.job.model === model).map(({ lease }) => lease);
  }

  /** Whether a daemon runs as many jobs of a model as it has slots. */
  fills(daemon: DaemonId, model: string, slots: number): boolean {
    let free = slots;
    for (const { stream } of this.#live.values()) {
      if (stream.job.grant.daemon === daemon && stream.job.model === model) free -= 1;
      if (free <= 0) return true;
    }
    return false;
  }

  #filter(which: (live: LiveStream) => boolean): JobStream[] {
    return [...this.#live.values()].filter(which).map(({ stream }) => stream);
  }
}
