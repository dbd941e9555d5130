/**
 * The built program. Tests of processes run it as users do: a worker process is JavaScript, and a process that is killed
 * should be nothing but the program.
 */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const dist = fileURLToPath(new URL('../dist', import.meta.url));

/** Absolute path below `dist/`: `bin/colonnade.js` is the program, `run/run.js` one module of it. */
export function built(module: string): string {
  const path = `${dist}/${module}`;
  if (!existsSync(path)) throw new Error(`${path} is not there; run "npm run build"`);
  return path;
}

export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface NodeOptions {
  readonly killAfterMs?: number;
  /** Added to this process' environment. */
  readonly env?: Readonly<Record<string, string>>;
  /** A process group of its own, as a terminal gives. */
  readonly ownGroup?: boolean;
}

/** Runs a script with Node, and waits until it has ended and nothing holds its streams any more. */
export function runNode(script: string, args: readonly string[], options: NodeOptions = {}): Promise<Ended> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [script, ...args], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, ...options.env },
      detached: options.ownGroup ?? false,
    });
    let stdout = '';
    let stderr = '';
    child.stdout.on('data', (data: Buffer) => (stdout += data.toString()));
    child.stderr.on('data', (data: Buffer) => (stderr += data.toString()));
    child.on('error', reject);
    const timer =
      options.killAfterMs === undefined ? undefined : setTimeout(() => child.kill('SIGKILL'), options.killAfterMs);
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      resolve({ code, signal, stdout, stderr });
    });
  });
}
