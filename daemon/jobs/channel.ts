/** What jobs need of a connection to the relay. It belongs to one connection: after that has closed, nothing is sent. */

import type { DaemonMessage } from "../../protocol/daemon/messages.ts";

export interface Channel {
  /** Counts the connections of this process. */
  readonly id: number;
  readonly isOpen: boolean;
  /** Sends a control message; false when the connection has closed. */
  send(message: DaemonMessage): boolean;
  sendFrame(frame: Uint8Array): void;
  /** Resolves when the socket's buffer has room again, or the connection has closed. */
  writable(): Promise<void>;
}
