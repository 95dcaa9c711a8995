/** What each reason for which a daemon is passed over means, and what its operator can do about it. */

import type { PassedOverFor } from "./passed-over.ts";

interface Reason {
  readonly title: string;
  readonly fix: string;
}

export const PASSED_OVER_REASONS = {
  own: { title: "The jobs were its own account's.", fix: "Nothing is to be done: nobody is paid by itself." },
  not_member: {
    title: "The jobs were of a private network that it does not serve.",
    fix: "Join the network, and start it with --network ID.",
  },
  quarantined: {
    title: "It gets probes alone, after a failed check or too many failures.",
    fix: "See its log; it gets jobs again after three probes in a row.",
  },
  draining: { title: "It takes no new jobs.", fix: "Resume it, or start it again." },
  failed_before: {
    title: "It had declined or failed the jobs before.",
    fix: "See its log for the reason; a job is never given to the same daemon again.",
  },
  not_chosen: {
    title: "The consumers chose other providers, or left it out.",
    fix: "Nothing is to be done.",
  },
  quantization: {
    title: "The jobs wanted another quantization.",
    fix: "Serve the model in the quantization that is asked for as well.",
  },
  context: { title: "The jobs needed a longer context than it offers.", fix: "Raise --context, if its memory allows." },
  feature: {
    title: "The jobs needed a feature that it does not offer.",
    fix: "Name what the engine can do beyond what is known of it with --feature.",
  },
  usdc_only: {
    title: "The jobs were paid in credits that no USDC stands behind.",
    fix: "Start it with --accepts any.",
  },
  floor: {
    title: "Its power costs more than the jobs paid.",
    fix: "Declare what it really draws and pays with --watts and --usd-per-kwh, or serve faster.",
  },
  full: { title: "It had no free slot.", fix: "Raise --slots, if the engine keeps its speed." },
  payee_cap: {
    title: "Its account had earned its part of the allotments that paid.",
    fix: "Nothing is to be done: it counts anew every day.",
  },
  not_loaded: {
    title: "Another daemon had the model in memory.",
    fix: "Keep the model loaded.",
  },
  score: {
    title: "A more reliable daemon was chosen.",
    fix: "See its log for jobs that failed or were declined; what it serves well counts more and more.",
  },
  slower: { title: "A faster daemon was chosen.", fix: "Serve fewer jobs at once, or a smaller context." },
  not_own: { title: "The jobs were for their account's own daemons.", fix: "Nothing is to be done: they pay nobody." },
  ask: {
    title: "Another daemon asked less, or the jobs paid less than it asks.",
    fix: "GET /api/v1/market tells what is asked: lower its margin, or serve with less power or faster.",
  },
  not_drawn: { title: "One like it was drawn.", fix: "Nothing is to be done: the next one may be its own." },
} as const satisfies Record<PassedOverFor, Reason>;
