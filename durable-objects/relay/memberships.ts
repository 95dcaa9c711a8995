/** Which private networks daemons may serve: those that their accounts are members of, as D1 says. */

import type { AccountId, NetworkId } from "../../core/ids.ts";

const NAMED = `SELECT network FROM network_members
  WHERE account = ?1 AND ended_at IS NULL AND network IN (SELECT value FROM json_each(?2))`;

export class Memberships {
  readonly #db: D1Database;
  /** How many changes of memberships this relay has heard of. */
  #changes = 0;

  constructor(db: D1Database) {
    this.#db = db;
  }

  /** Somebody has joined or left a network: whatever is being read at the moment is read again. */
  changed(): void {
    this.#changes += 1;
  }

  /**
   * Of some networks those that an account is a member of. Nothing that was read before a change that was heard of meanwhile:
   * whoever was removed would be let in again by it.
   */
  async of(account: AccountId, named: readonly string[]): Promise<NetworkId[]> {
    if (named.length === 0) return [];
    for (;;) {
      const changes = this.#changes;
      const rows = await this.#db.prepare(NAMED).bind(account, JSON.stringify(named)).all<{ network: NetworkId }>();
      if (changes === this.#changes) return rows.results.map(({ network }) => network);
    }
  }
}

/** What a daemon is told of the networks that it named in vain. */
export function membershipWarnings(named: readonly string[], confirmed: readonly string[]): string[] {
  return named
    .filter((network) => !confirmed.includes(network))
    .map(
      (network) =>
        `Private network ${network.slice(0, 22)} is not served: this daemon's account is not in it. GET /api/v1/networks lists yours.`,
    );
}
