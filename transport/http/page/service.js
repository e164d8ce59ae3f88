// SPDX-License-Identifier: MIT
// Talking to the service: questions, changes, the stream of events. The key is kept in this tab
// only (sessionStorage) and goes into a header, so the stream is read by fetch: EventSource sends
// no headers.

const KEY = "purser.key";
export const key = {
  get: () => sessionStorage.getItem(KEY) ?? "",
  set: (value) => (value ? sessionStorage.setItem(KEY, value) : sessionStorage.removeItem(KEY)),
};

export class Refused extends Error {
  constructor(status, error) {
    super(error.path ? `${error.message} (${error.path})` : error.message);
    this.status = status;
    this.code = error.code;
  }
}

function headers(more) {
  const h = {...more};
  if (key.get()) h.Authorization = `Bearer ${key.get()}`;
  return h;
}

async function answer(response) {
  let body;
  try {
    body = await response.json();
  } catch {
    throw new Refused(response.status, {code: "internal", message: `the service answered ${response.status}`});
  }
  if (!response.ok) throw new Refused(response.status, body.error ?? {message: `status ${response.status}`});
  return body;
}

export async function ask(path) {
  return answer(await fetch(path, {headers: headers()}));
}

export async function tell(method, path, message) {
  return answer(await fetch(path, {
    method, headers: headers({"Content-Type": "application/json"}), body: JSON.stringify({v: 1, ...message}),
  }));
}

// Calls on.event for each event and on.state with true or false as the stream comes and goes, for
// ever; gives a function that begins it anew (another key).
export function listen(path, on) {
  let abort;
  async function once() {
    abort = new AbortController();
    const response = await fetch(path, {headers: headers(), signal: abort.signal});
    if (!response.ok) await answer(response);
    on.state(true);
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    for (let text = ""; ;) {
      const {value, done} = await reader.read();
      if (done) return;
      text += value;
      const parts = text.split("\n\n");
      text = parts.pop();
      for (const part of parts) {
        const data = part.split("\n").find((line) => line.startsWith("data: "));
        if (data) on.event(JSON.parse(data.slice(6)));
      }
    }
  }
  async function forever() {
    for (let wait = 500; ; wait = Math.min(wait * 2, 15000)) {
      const began = Date.now();
      try {
        await once();
      } catch (e) {
        if (e.status === 401 || e.status === 403) await new Promise((go) => { wake = go; });
      }
      on.state(false);
      if (Date.now() - began > 30000) wait = 500;
      await new Promise((go) => setTimeout(go, wait));
    }
  }
  let wake = null;
  forever();
  return () => {
    abort?.abort();
    wake?.();
    wake = null;
  };
}
