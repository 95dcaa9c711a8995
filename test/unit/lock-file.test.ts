import { expect, it } from "vitest";
import { hasSolana } from "../../localnet/network/solana.ts";
import { read } from "./source-files.ts";

interface LockedPackage {
  resolved?: string;
  link?: boolean;
  optionalDependencies?: Record<string, string>;
}
const { packages } = JSON.parse(read("package-lock.json")) as { packages: Record<string, LockedPackage> };

/** The places where Node would look for a package from another one, nearest first. */
function lookups(from: string, name: string): string[] {
  const own = `${from === "" ? "" : `${from}/`}node_modules/${name}`;
  if (from === "") return [own];
  const end = from.lastIndexOf("node_modules/");
  return [own, ...lookups(from.slice(0, Math.max(end - 1, 0)), name)];
}

it("locks every optional package, so that it installs on platforms other than the one it was made on", () => {
  const missing = Object.entries(packages).flatMap(([path, { optionalDependencies }]) =>
    Object.keys(optionalDependencies ?? {})
      .filter((name) => !lookups(path, name).some((place) => place in packages))
      .map((name) => `${name}, wanted by ${path}`),
  );
  expect(missing).toEqual([]);
});

it("locks the binaries of both common servers and desktops", () => {
  for (const platform of ["linux-64", "linux-arm64", "darwin-64", "darwin-arm64", "windows-64"]) {
    expect(packages).toHaveProperty([`node_modules/@cloudflare/workerd-${platform}`]);
  }
});

it("locks a build of litesvm for each machine on which the network has a Solana, and no other", () => {
  const builds = Object.keys(packages["node_modules/litesvm"]?.optionalDependencies ?? {});
  const machines = new Set(builds.map((name) => /^litesvm-(\w+-\w+)/.exec(name)?.[1] ?? name));
  const all = ["darwin", "linux", "win32", "freebsd"].flatMap((platform) =>
    ["arm", "arm64", "ia32", "x64"].map((arch) => [platform, arch] as const),
  );
  const have = all.filter(([platform, arch]) => hasSolana(platform, arch)).map((machine) => machine.join("-"));
  expect(have.sort()).toEqual([...machines].sort());
  for (const name of builds) expect(packages).toHaveProperty([`node_modules/${name}`]);
});

it("names no registry, so that it installs through whichever the machine uses", () => {
  expect(Object.entries(packages).filter(([, { resolved, link }]) => resolved !== undefined && !link)).toEqual([]);
});
