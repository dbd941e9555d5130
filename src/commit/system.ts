/**
 * What the commit protocol asks of the operating system: the calls on files and folders, and who is alive. All of
 * `commit/` that changes anything takes it from here, so that a test can put a file system of its own in its place, choose
 * who goes next, and end a process between any two calls.
 */
import * as promises from 'node:fs/promises';
import { hostname } from 'node:os';

/** An open file, as far as it is used. */
export interface OpenFile {
  writeFile(text: string): Promise<void>;
  read(buffer: Uint8Array, offset: number, length: number, position: number): Promise<{ readonly bytesRead: number }>;
  stat(): Promise<{ readonly size: number }>;
  sync(): Promise<void>;
  close(): Promise<void>;
}

/** The calls that are used, with the meaning and the errors that they have in `node:fs/promises`. */
export interface Files {
  link(from: string, to: string): Promise<void>;
  mkdir(path: string): Promise<unknown>;
  open(path: string, flags: 'r' | 'w'): Promise<OpenFile>;
  readdir(path: string): Promise<string[]>;
  readFile(path: string, encoding: 'utf8'): Promise<string>;
  rename(from: string, to: string): Promise<void>;
  rm(path: string, options: { readonly recursive?: boolean; readonly force: boolean }): Promise<void>;
  rmdir(path: string): Promise<void>;
  stat(path: string): Promise<{ isDirectory(): boolean; readonly size: number }>;
  writeFile(path: string, text: string): Promise<void>;
}

/** A process, as far as it can be told apart from others. */
export interface ProcessId {
  readonly host: string;
  readonly pid: number;
  /** Start of the process in clock ticks since boot, where the system tells: tells a reused pid apart. */
  readonly started: string | null;
}

export interface System {
  readonly files: Files;
  /** The process that asks. */
  self(): Promise<ProcessId>;
  /** Whether a process may still be at work. True where nothing is known of it. */
  isAlive(process: ProcessId): Promise<boolean>;
}

/** This process on this machine. */
export const thisSystem: System = {
  // The namespace, not its members: a test that changes one of them is heard.
  files: promises,
  self: async () => ({
    host: hostname(),
    pid: process.pid,
    started: (await statOf(process.pid))?.started ?? null,
  }),
  isAlive: async ({ host, pid, started }) => {
    // Of a process on another machine nothing is known: it counts as alive.
    if (host !== hostname()) return true;
    try {
      process.kill(pid, 0);
    } catch (error) {
      return (error as NodeJS.ErrnoException).code === 'EPERM';
    }
    const now = await statOf(pid);
    // Killed, and not yet waited for by its parent: all its threads are gone, and it writes nothing any more.
    if (now?.state === 'Z' && now.threads <= 1) return false;
    return started === null || now?.started === started;
  },
};

/** Fields 3, 20 and 22 of /proc/PID/stat (proc(5)); undefined where there is no /proc. */
async function statOf(pid: number): Promise<{ state: string; threads: number; started: string } | undefined> {
  try {
    const stat = await promises.readFile(`/proc/${pid}/stat`, 'utf8');
    // The second field is a name, in which there may be anything.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return { state: fields[0]!, threads: Number(fields[17]), started: fields[19]! };
  } catch {
    return undefined;
  }
}
