/** What a pool goes by when it draws among its daemons. */

export interface Standing {
  /** (α + 2) / (α + β + 4): above 0, below 1 (economics.md §9). */
  readonly reliability: number;
  /** reliability², less where it declines much; above 0, below 1. */
  readonly quality: number;
  /** Measured tokens a second, until then what it declares. */
  readonly tokensPerSecond: number;
  /** Whether its owner has too few verified jobs to be known by them. */
  readonly newcomer: boolean;
  readonly quarantined: boolean;
}
