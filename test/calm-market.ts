/**
 * Parameters under which asks do not depend on demand, for tests of everything else: however many jobs run and wait, a
 * scripted daemon asks what the test model costs in every other lane.
 */
export const CALM_MARKET = { demandFullBasisPoints: 10_000, demandMostBasisPoints: 10_000 };

/** The setting TOLLMILL_PARAMETERS of a network whose market is calm, with what a test changes beside. */
export function calmly(changes = "{}"): string {
  return JSON.stringify({ ...CALM_MARKET, ...(JSON.parse(changes) as object) });
}
