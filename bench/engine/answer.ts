/** What the mock engine says, and when. One plan gives the same text in the same pieces to whoever serves it. */

/** Travels as the text of the last message, so that it reaches the engine through anything that stands in front of it. */
export interface Plan {
  readonly tokens: number;
  /** Tokens a piece. */
  readonly piece: number;
  /** Milliseconds between pieces; 0 is as fast as they are taken. */
  readonly every: number;
  /** 50 tokens a second, cut as daemons cut them: the first at once, every 50 ms in the first second, then every 100 ms. */
  readonly natural?: boolean;
  /** Bytes that each piece has beyond its words, so that a reader who takes nothing is felt. */
  readonly filling?: number;
  /** Milliseconds before the first piece, as a long prompt takes them. */
  readonly start?: number;
}

export interface Piece {
  readonly text: string;
  readonly tokens: number;
  /** Milliseconds after the job came. */
  readonly at: number;
}

const NATURAL_TOKENS_PER_SECOND = 50;
const FIRST_STRETCH_MS = 1_000;

/** Common tokens of English; 4.2 bytes each on average. */
const WORDS = (
  " the| of| and| to| in| a| is| that| for| it| was| on| are| with| they| be| at| one| have| this| from| by| word|" +
  " but| what| some| we| can| out| other| were| all| there| when| your| how| said| an| each| she|.|,| market| receipt"
).split("|");

/** A chat body that asks for a plan's answer. The filling makes it a prompt of usual length. */
export function bodyFor(model: string, plan: Plan, stream: boolean): string {
  const content = `${JSON.stringify(plan)} ${"x".repeat(200)}`;
  return JSON.stringify({ model, stream, max_tokens: plan.tokens, messages: [{ role: "user", content }] });
}

/** The plan in a request's last message; a short answer where it holds none. */
export function planOf(request: { readonly messages?: unknown }): Plan {
  const messages = request.messages as readonly { readonly content: string }[];
  const text = messages.at(-1)?.content ?? "";
  return text.startsWith("{") ? (JSON.parse(text.slice(0, text.indexOf("}") + 1)) as Plan) : SHORT;
}

const SHORT: Plan = { tokens: 16, piece: 16, every: 0 };
const made = new Map<string, readonly Piece[]>();

/** The pieces of a plan's answer. */
export function piecesOf(plan: Plan): readonly Piece[] {
  const key = JSON.stringify(plan);
  const pieces = made.get(key) ?? cut(plan);
  made.set(key, pieces);
  return pieces;
}

export function textOf(plan: Plan): string {
  return piecesOf(plan)
    .map(({ text }) => text)
    .join("");
}

function cut(plan: Plan): Piece[] {
  const pieces: Piece[] = [];
  let sent = 0;
  for (let at = 0; sent < plan.tokens; at += plan.natural ? (at < FIRST_STRETCH_MS ? 50 : 100) : plan.every) {
    const ready = plan.natural ? 1 + Math.floor((at / 1_000) * NATURAL_TOKENS_PER_SECOND) : sent + plan.piece;
    const end = Math.min(plan.tokens, Math.max(sent + 1, ready));
    const tokens = end - sent;
    const words = Array.from({ length: tokens }, (_, index) => WORDS[(sent + index) % WORDS.length]).join("");
    pieces.push({ text: words + "x".repeat(plan.filling ?? 0), tokens, at: at + (plan.start ?? 0) });
    sent = end;
  }
  return pieces;
}

/** A piece of playing that can be held up. */
export interface Playing {
  pause(): void;
  /** Goes on where it was held up: what was due meanwhile is late, and what comes keeps its distance. */
  resume(): void;
}

/** Plays pieces at their times and then calls `end`. `stopped` says whether anybody still listens. */
export function play(
  pieces: readonly Piece[],
  send: (piece: Piece) => void,
  end: () => void,
  stopped: () => boolean,
): Playing {
  let start = performance.now();
  let pausedAt: number | null = null;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let next = 0;
  const mayGoOn = (): boolean => pausedAt === null && next <= pieces.length && !stopped();
  const step = (): void => {
    while (mayGoOn()) {
      const piece = pieces[next];
      const wait = piece === undefined ? 0 : piece.at - (performance.now() - start);
      if (wait > 0.5) {
        timer = setTimeout(step, wait);
        return;
      }
      next += 1;
      if (piece === undefined) end();
      else send(piece);
    }
  };
  step();
  return {
    pause: () => {
      pausedAt ??= performance.now();
      clearTimeout(timer);
    },
    resume: () => {
      if (pausedAt === null) return;
      start += performance.now() - pausedAt;
      pausedAt = null;
      step();
    },
  };
}
