/** The clock of the local network: `wrangler dev` has none, so its cron is poked from here. */

/** Oftener than a deployed network's, as nobody wants to wait for a deposit of a test. */
const POKE_MS = 5_000;

/** Pokes an edge's cron until this process ends, one poke at a time. One that fails is followed by the next. */
export function pokeCron(url: string): void {
  const poke = async (): Promise<void> => {
    await fetch(`${url}/cdn-cgi/handler/scheduled?cron=*+*+*+*+*`).catch(() => null);
    setTimeout(() => void poke(), POKE_MS).unref();
  };
  setTimeout(() => void poke(), POKE_MS).unref();
}
