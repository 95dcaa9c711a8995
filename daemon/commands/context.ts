/** What every command is given. */

import { readAdminSettings, readSettings, type Settings } from "../network/settings.ts";
import { accessToken } from "../network/sign-in.ts";
import type { Terminal } from "../output/terminal.ts";

export interface GlobalFlags {
  readonly url?: string;
  readonly apiKey?: string;
  readonly json?: boolean;
}

/** Flags of operators' commands. */
export interface AdminFlags extends GlobalFlags {
  readonly key?: string;
}

export interface Context {
  readonly terminal: Terminal;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** The current folder. */
  readonly folder: string;
  readonly readStdin: () => Promise<string>;
}

export function settingsOf(context: Context, flags: GlobalFlags): Promise<Settings> {
  const { env, folder } = context;
  return readSettings({ flags, env, folder, sessionOf: (url) => accessToken(env, url) });
}

/** Which network, for a command that needs no key or session to be there. */
export function networkOf(context: Context, flags: GlobalFlags): Promise<Settings> {
  return readSettings({ flags, env: context.env, folder: context.folder });
}

export function adminSettingsOf(context: Context, flags: AdminFlags): Promise<Settings> {
  return readAdminSettings({ flags, env: context.env, folder: context.folder });
}
