"use strict";
// Takes a photo: in a window over the page, or by the phone's own camera where the browser gives no video.
class Camera {
  constructor(dialog, capture, taken, failed) {
    Object.assign(this, { dialog, capture, taken, failed, video: dialog.querySelector("video"), stream: null });
    dialog.querySelector("#shoot").addEventListener("click", () => this.shoot());
    dialog.querySelector("#cancel").addEventListener("click", () => dialog.close());
    dialog.addEventListener("close", () => this.stop());
  }
  async open() {
    // Browsers give video only to this machine's own pages and over https.
    if (!navigator.mediaDevices?.getUserMedia) return this.capture.click();
    try {
      this.stream = await navigator.mediaDevices.getUserMedia({
        video: { facingMode: "environment", width: { ideal: 1920 }, height: { ideal: 1080 } }, audio: false,
      });
    } catch (error) {
      this.failed(error.name === "NotAllowedError" ? "The browser does not allow the camera." : "There is no camera that can be used.");
      return;
    }
    this.video.srcObject = this.stream;
    this.dialog.showModal();
    this.dialog.querySelector("#shoot").focus();
  }
  shoot() {
    const { videoWidth: width, videoHeight: height } = this.video;
    if (!width) return;
    const canvas = Object.assign(document.createElement("canvas"), { width, height });
    canvas.getContext("2d").drawImage(this.video, 0, 0);
    canvas.toBlob(photo => { this.dialog.close(); this.taken(photo); }, "image/jpeg", .92);
  }
  stop() {
    this.stream?.getTracks().forEach(track => track.stop());
    this.stream = this.video.srcObject = null;
  }
}
