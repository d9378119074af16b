/** Changes on their way out: one message per animation frame, the latest value of each name, the last one always sent. */

import type { Said } from "../wire/channel";
import type { Change } from "../wire/schema";

export interface Turns {
  turn: (change: Change) => void;
  /** Try again to send what waited for the channel. */
  flush: () => void;
  /** Forget what waits: the next offer carries it. */
  forget: () => void;
  /** The server applied message `seq`: what was in it and how long that took; null for a message not ours. */
  applied: (seq: number) => { change: Change; took_ms: number } | null;
}

interface Parts {
  send: (said: Said) => boolean;
  schedule: (flush: () => void) => void; // requestAnimationFrame
  now: () => number;
}

const REMEMBERED = 256; // receipts still expected

export function createTurns({ send, schedule, now }: Parts): Turns {
  let pending: Change = {};
  let scheduled = false;
  let seq = 0;
  const sent = new Map<number, { change: Change; at_ms: number }>();

  const flush = (): void => {
    scheduled = false;
    if (!Object.keys(pending).length) return;
    const change = pending;
    if (!send({ ...change, _ack: seq + 1 })) return;
    pending = {};
    sent.set(++seq, { change, at_ms: now() });
    for (const old of sent.keys()) if (old <= seq - REMEMBERED) sent.delete(old);
  };
  return {
    turn: (change) => {
      pending = { ...pending, ...change };
      if (scheduled) return;
      scheduled = true;
      schedule(flush);
    },
    flush,
    forget: () => (pending = {}),
    applied: (number) => {
      const receipt = sent.get(number);
      sent.delete(number);
      return receipt ? { change: receipt.change, took_ms: now() - receipt.at_ms } : null;
    },
  };
}
