// What htmx shows is only what the server answered well; anything else says that the connection was lost.
document.addEventListener("htmx:after:request", (event) => {
  const status = event.detail.ctx.response.status;
  if (status === 401) window.location.reload();
  document.body.classList.toggle("offline", status >= 400);
  if (status >= 400) event.preventDefault();
});
document.addEventListener("htmx:error", () => document.body.classList.add("offline"));
