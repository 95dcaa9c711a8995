/**
 * Parameters under which asks do not depend on demand, for tests of everything else: however many jobs run and wait, a
 * scripted daemon asks what the test model costs in every other lane.
 */
export const CALM_MARKET = { demandFullBasisPoints: 10_000, demandMostBasisPoints: 10_000 };
