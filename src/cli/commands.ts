/** The commands, in the order of help. */
import type { Command } from './command.js';
import { cleanCommand } from './clean.js';
import { completionCommand } from './completion.js';
import { inspectCommand } from './inspect.js';
import { planCommand } from './plan.js';
import { previewCommand } from './preview.js';
import { runCommand } from './run.js';
import { runsCommand } from './runs.js';
import { schemaCommand } from './schema.js';
import { tuneCommand } from './tune.js';
import { validateCommand } from './validate.js';
import { verifyCommand } from './verify.js';

export const COMMANDS: readonly Command[] = [
  runCommand,
  planCommand,
  previewCommand,
  validateCommand,
  inspectCommand,
  tuneCommand,
  verifyCommand,
  runsCommand,
  cleanCommand,
  schemaCommand,
  completionCommand(() => COMMANDS),
];
