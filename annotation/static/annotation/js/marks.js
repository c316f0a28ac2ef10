// The marked words of a long text come into view, in the middle where they can.

export function bringMarkIntoView(passage) {
  const mark = passage?.querySelector("mark");
  if (mark) passage.scrollTop = mark.offsetTop - (passage.clientHeight - mark.offsetHeight) / 2;
}

document.querySelectorAll(".passage").forEach(bringMarkIntoView);
