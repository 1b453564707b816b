// The WebSocket: it comes back by itself, each time a little later, and says so.

const FIRST = 500;
const LONGEST = 15000;

export function connect(onMessage, onState) {
  let wait = FIRST;
  let timer = null;
  let socket = null;

  function open() {
    clearTimeout(timer);
    socket = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/ws`);
    socket.onopen = () => {
      wait = FIRST;
      onState("live", "live");
    };
    socket.onmessage = (event) => onMessage(JSON.parse(event.data));
    socket.onclose = () => {
      onState("lost", "connection lost, trying again");
      // Not all pages at the same moment.
      timer = setTimeout(open, wait * (0.75 + Math.random() / 2));
      wait = Math.min(wait * 2, LONGEST);
    };
  }

  // Somebody who comes back to the page does not want to wait for the next try.
  const hurry = () => {
    if (document.visibilityState === "visible" && socket.readyState === WebSocket.CLOSED) open();
  };
  document.addEventListener("visibilitychange", hurry);
  addEventListener("online", hurry);
  open();
}
